"""What somebody gives on the command line: ids, and JSON, also in a file or on standard input."""

import json
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import typer

from orchestra_cli.errors import UsageError


def read_json(given: str) -> Any:
    """The value of `given`: JSON, `@file`, or `-` for standard input; raises UsageError."""
    try:
        if given == "-":
            return _decoded(sys.stdin.read())
        if given.startswith("@"):
            return _decoded(Path(given[1:]).expanduser().read_text())
        return _decoded(given)
    except OSError as error:
        raise UsageError(f"{given[1:]} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"The input is not JSON: {error}.") from error


def read_object(given: str) -> dict[str, Any]:
    """The same for what has fields."""
    value = read_json(given)
    if not isinstance(value, dict):
        raise UsageError("A JSON object is wanted here: {…}.")
    return cast("dict[str, Any]", value)


def an_id(of: str) -> Callable[[str], str]:
    """What reads an argument or an option: the id of such a thing, else the usage is wrong."""

    def read(given: str) -> str:
        if not is_id(given):
            raise typer.BadParameter(f"{given} is not {of} id.")
        return given

    return read


def is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _decoded(text: str) -> Any:
    return json.loads(text, parse_constant=_no_number)


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")

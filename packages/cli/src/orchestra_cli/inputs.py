"""JSON that somebody gives on the command line, in a file or on standard input."""

import json
import sys
from pathlib import Path
from typing import Any

from orchestra_cli.errors import UsageError


def read_json(given: str) -> Any:
    """The value of `given`: JSON, `@file`, or `-` for standard input; raises UsageError."""
    try:
        if given == "-":
            return json.load(sys.stdin)
        if given.startswith("@"):
            return json.loads(Path(given[1:]).expanduser().read_text())
        return json.loads(given)
    except OSError as error:
        raise UsageError(f"{given[1:]} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"The input is not JSON: {error}.") from error

"""What every host command does alike: parse, load the settings, and turn an expected failure into
one sentence.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.settings import Settings, load

# As the CLI documents them: 5 is "the instance does not answer".
SUCCESS, FAILURE, NOT_RUNNING = 0, 1, 5
INTERRUPTED = 130

Main = Callable[[Settings, argparse.Namespace], int]


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """With the option that every command has."""
    result = argparse.ArgumentParser(prog=f"orchestra {name}", description=description)
    result.add_argument("--data-dir", metavar="DIR", help="where the instance keeps its state")
    return result


def add_json(to: argparse.ArgumentParser) -> None:
    to.add_argument("--json", action="store_true", help="print JSON on standard output")


def add_ports(to: argparse.ArgumentParser) -> None:
    to.add_argument(
        "--http-port", type=int, metavar="PORT", help="plain HTTP, on this machine only"
    )
    to.add_argument("--https-port", type=int, metavar="PORT", help="HTTPS and HTTP/3")


SETTINGS_OF_ARGUMENTS = ("data_dir", "http_port", "https_port")


def run(main: Main, *, options: argparse.ArgumentParser, argv: Sequence[str]) -> int:
    """The exit code: 0 done, 1 failed (a sentence on standard error), 2 misused, 5 not running."""
    arguments = options.parse_args(argv)
    given = {name: getattr(arguments, name, None) for name in SETTINGS_OF_ARGUMENTS}
    return guard(lambda: main(load(given), arguments))


def guard(work: Callable[[], int]) -> int:
    """Its exit code; an expected failure is said in one sentence."""
    try:
        return work()
    except OrchestraError as error:
        say(f"error: {error.message}")
        return FAILURE
    except KeyboardInterrupt:
        return INTERRUPTED


def say(message: str) -> None:
    """A message for people; standard output is for results. A full disk below it ends nothing."""
    with contextlib.suppress(OSError):
        _write(sys.stderr, message)


def answer(text: str) -> None:
    """A result, which a program may read."""
    _write(sys.stdout, text)


def _write(stream: TextIO, text: str) -> None:
    """Nobody may be listening any more; that is no reason to stop."""
    with contextlib.suppress(BrokenPipeError):
        stream.write(text + "\n")
        stream.flush()


def answer_json(value: object) -> None:
    answer(json.dumps(value))

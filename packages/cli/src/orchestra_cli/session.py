"""What every command gets: the instance, how to print, and one way for errors to end it.

`command` turns a function `(session, …)` into a Typer command with `--data-dir` and `--json`.
"""

import functools
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestra_cli import output, target
from orchestra_cli.errors import INTERRUPTED, CliError, UsageError

if TYPE_CHECKING:
    from orchestra_cli.client import Client

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="The local instance to talk to."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


class Session:
    """One run of a command."""

    def __init__(self, data_dir: Path | None, *, json: bool) -> None:
        self.json = json
        self._data_dir = data_dir
        self._client: Client | None = None

    @property
    def api(self) -> "Client":
        """The instance's API; looked up and connected to when first asked for."""
        if self._client is None:
            from orchestra_cli.client import Client  # noqa: PLC0415 - httpx takes 200 ms to import

            self._client = Client(target.find(self._data_dir, os.environ, Path.cwd()))
        return self._client

    def named_target(self) -> target.Target | None:
        """The instance that `--data-dir` names; None without that option."""
        if self._data_dir is None:
            return None
        return target.find(self._data_dir, os.environ, Path.cwd())

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def show(self, value: dict[str, Any], fields: dict[str, str] | None = None) -> None:
        """One thing: all of it as JSON, or `fields` of it (key → label) as lines."""
        if self.json:
            output.write_json(value)
        elif fields is None:
            output.record(value)
        else:
            output.record({label: value.get(key) for key, label in fields.items()})

    def show_list(self, items: list[dict[str, Any]], columns: dict[str, str]) -> None:
        if self.json:
            output.write_json(items)
        else:
            output.table(items, columns)


def application(about: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(
        help=about, no_args_is_help=True, rich_markup_mode=None, add_completion=False
    )


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers `function(session, …)` under `name`, with the options that every command has."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        app.command(name)(_with_session(function))
        return function

    return register


def _with_session(function: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(function)
    own = list(signature.parameters.values())[1:]

    @functools.wraps(function)
    def run(*, data_dir: Path | None = None, json: bool = False, **arguments: Any) -> None:
        session = Session(data_dir, json=json)
        try:
            function(session, **arguments)
        except CliError as error:
            output.error(error.message)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(INTERRUPTED) from error
        finally:
            session.close()

    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, default, kind in (("data_dir", None, DataDir), ("json", False, Json))
    ]
    keyword_only = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in own]
    parameters = [*keyword_only, *shared]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {item.name: item.annotation for item in parameters}
    return run


def confirm(question: str, *, yes: bool) -> None:
    """Asks on a terminal; raises UsageError elsewhere unless `yes` was given."""
    if yes:
        return
    if not output.interactive():
        raise UsageError(f"{question} Say --yes to do it without being asked.")
    if not typer.confirm(question, err=True):
        raise CliError("Nothing was changed.")


def secret(prompt: str, *, from_stdin: bool) -> str:
    """A secret from standard input, or typed unseen on a terminal; never from the command line."""
    if from_stdin:
        text = sys.stdin.readline().strip()
        if not text:
            raise UsageError("Standard input held nothing.")
        return text
    if not output.interactive():
        raise UsageError(f"{prompt}: give it on standard input; see --help.")
    return str(typer.prompt(prompt, hide_input=True, err=True))

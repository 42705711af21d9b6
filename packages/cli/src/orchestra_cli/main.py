"""The entry of `orchestra`: finds the command, and imports no other.

Exit codes: 0 done · 1 failed · 2 wrong usage · 3 not found · 4 not signed in or not allowed ·
5 the instance does not answer · 130 interrupted.
"""

import importlib
import os
import signal
import sys
from dataclasses import dataclass

import typer

from orchestra_cli import host, output
from orchestra_cli.errors import INTERRUPTED, SUCCESS

VERSION = "2.0.0"
COMPLETION = "_ORCHESTRA_COMPLETE"
EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 not signed in or not allowed, "
    "5 the instance does not answer, 130 interrupted."
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A word after `orchestra`: its module in `commands`, and what `--help` says of it."""

    about: str
    is_group: bool = True


COMMANDS = {
    "chat": Entry("Talk with a model.", is_group=False),
    "task": Entry("Submit tasks to agents and follow them."),
    "queue": Entry("See queues; pause, bound and limit them; weigh users."),
    "schedule": Entry("Submit tasks at a time, or again and again."),
    "blob": Entry("Store large inputs, and fetch large results."),
    "dead": Entry("See what failed for good, and do it again."),
    "workflow": Entry("Declare workflows and run them."),
    "approvals": Entry("See what tasks ask people, and answer."),
    "agent": Entry("Run an agent, or enrol one at an instance."),
    "agents": Entry("See the agents and let new ones in."),
    "models": Entry("See the models and choose the default."),
    "providers": Entry("Connect providers of models."),
    "keys": Entry("Make and revoke API keys."),
    "users": Entry("Manage the people who may sign in."),
    "audit": Entry("See who changed what."),
}


def main() -> None:
    """Runs the command line of this process and exits."""
    # `orchestra task list | head` ends quietly.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs a command line and returns its exit code."""
    if arguments[:1] == ["--version"]:
        output.write(f"{VERSION}\n")
        return SUCCESS
    if arguments and arguments[0] in host.ABOUT:
        return host.run(arguments[0], arguments[1:])
    try:
        application(arguments)(arguments, prog_name="orchestra")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else SUCCESS
    except KeyboardInterrupt:
        return INTERRUPTED
    return SUCCESS


def application(arguments: list[str]) -> typer.Typer:
    """The commands; those that `arguments` do not ask for are only their names and descriptions."""
    app = typer.Typer(
        help="AI Orchestra: chat, tasks and agents, on this machine or another.",
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    # Two options of the root; without a callback Typer would not show them.
    app.callback()(_root)
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    for name, entry in COMMANDS.items():
        if name == wanted or COMPLETION in os.environ:
            _add(app, name, entry)
        else:
            app.command(name, help=entry.about)(_unreachable)
    for name, about in host.ABOUT.items():
        app.command(name, help=about, rich_help_panel="This machine")(_unreachable)
    return app


def _root(
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    pass


def _add(app: typer.Typer, name: str, entry: Entry) -> None:
    module = importlib.import_module(f"orchestra_cli.commands.{name}")
    group: typer.Typer = module.app
    if entry.is_group:
        app.add_typer(group, name=name)
    else:
        app.registered_commands += group.registered_commands


def _unreachable() -> None:
    """Stands for a command that was not asked for."""

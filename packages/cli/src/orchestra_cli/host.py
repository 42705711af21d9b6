"""Commands of the machine that hosts an instance, such as `up` and `doctor`.

They belong to the server and are found by the entry-point group `orchestra.host_commands`; each is
a function `(argv) -> exit code`, which gets the rest of the command line untouched. What they say
about themselves stands here, so that `--help` does not import the server.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from orchestra_cli import output
from orchestra_cli.errors import USAGE

GROUP = "orchestra.host_commands"
ABOUT = {
    "up": "Start the whole product on this machine.",
    "down": "Stop the instance that runs here.",
    "status": "Show what runs here.",
    "doctor": "Look for what is wrong with this machine or its instance.",
    "settings": "Show every setting, its value and where it comes from.",
    "migrate": "Bring the database to the newest schema.",
    "api": "Run only the HTTP api.",
    "control-plane": "Run only the control plane, which agents connect to.",
    "worker": "Run only the worker of background jobs.",
    "gateway": "Run only the gateway.",
}


def find(name: str) -> EntryPoint | None:
    """The host command `name`, if the server is installed beside us and has it."""
    found = entry_points(group=GROUP, name=name)
    return next(iter(found), None)


def run(name: str, arguments: list[str]) -> int:
    """Runs a host command and returns its exit code."""
    entry = find(name)
    if entry is None:
        output.error(
            f"`orchestra {name}` comes with the server, which is not installed here:"
            ' pip install "ai-orchestra[local]"'
        )
        return USAGE
    command = cast("Callable[[list[str]], int]", entry.load())
    return command(arguments)

"""`orchestra up`: everything on this machine, from engines to the assistant, until Ctrl-C."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestra.foundation.settings import Settings


def command(argv: list[str]) -> int:
    """Start AI Orchestra on this machine."""
    from orchestra.processes import terminal  # noqa: PLC0415 - `orchestra --help` reads this module

    options = terminal.parser("up", "Start AI Orchestra on this machine and keep it running.")
    terminal.add_ports(options)
    terminal.add_json(options)
    options.add_argument("--detach", action="store_true", help="return once it is ready")
    return terminal.run(_main, options=options, argv=argv)


def _main(settings: "Settings", arguments: argparse.Namespace) -> int:
    from orchestra.processes import detached, foreground  # noqa: PLC0415 - as above

    start = detached.start if arguments.detach else foreground.start
    return start(settings, as_json=arguments.json)

"""`orchestra up`: everything on this machine, from engines to the assistant, until Ctrl-C."""

import argparse

from orchestra.foundation.settings import Settings
from orchestra.processes import detached, foreground, terminal


def command(argv: list[str]) -> int:
    """Start AI Orchestra on this machine."""
    options = terminal.parser("up", "Start AI Orchestra on this machine and keep it running.")
    terminal.add_ports(options)
    terminal.add_json(options)
    options.add_argument("--detach", action="store_true", help="return once it is ready")
    return terminal.run(_main, options=options, argv=argv)


def _main(settings: Settings, arguments: argparse.Namespace) -> int:
    start = detached.start if arguments.detach else foreground.start
    return start(settings, as_json=arguments.json)

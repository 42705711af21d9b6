"""`orchestra settings`: every setting, its value and where the value came from."""

import argparse
from dataclasses import asdict

from orchestra.foundation.settings import Settings, describe
from orchestra.processes import terminal


def command(argv: list[str]) -> int:
    """Show every setting, its value and its origin."""
    options = terminal.parser(
        "settings", "Show every setting, its value and its origin. Secrets are not shown."
    )
    terminal.add_ports(options)
    terminal.add_json(options)
    return terminal.run(_main, options=options, argv=argv)


def _main(settings: Settings, arguments: argparse.Namespace) -> int:
    lines = describe(settings)
    if arguments.json:
        terminal.answer_json([asdict(line) for line in lines])
        return terminal.SUCCESS
    names = max(len(line.name) for line in lines)
    values = max(len(line.value) for line in lines)
    for line in lines:
        columns = (line.name.ljust(names), line.value.ljust(values), line.origin.ljust(11))
        terminal.answer("  ".join((*columns, line.about)))
    return terminal.SUCCESS

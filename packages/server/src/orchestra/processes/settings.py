"""`orchestra settings`: every setting, its value and where the value came from."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestra.foundation.settings import Settings


def command(argv: list[str]) -> int:
    """Show every setting, its value and its origin."""
    from orchestra.processes import terminal  # noqa: PLC0415 - `orchestra --help` reads this module

    options = terminal.parser(
        "settings", "Show every setting, its value and its origin. Secrets are not shown."
    )
    terminal.add_ports(options)
    terminal.add_json(options)
    return terminal.run(_main, options=options, argv=argv)


def _main(settings: "Settings", arguments: argparse.Namespace) -> int:
    from dataclasses import asdict  # noqa: PLC0415 - as above

    from orchestra.foundation.settings import describe  # noqa: PLC0415 - as above
    from orchestra.processes import terminal  # noqa: PLC0415 - as above

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

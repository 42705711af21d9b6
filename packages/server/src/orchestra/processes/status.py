"""`orchestra status`: what runs on this data directory, and what it costs."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestra.foundation.settings import Settings
    from orchestra.processes.usage import Row


def command(argv: list[str]) -> int:
    """Show what runs on this machine, with its memory and processor use."""
    from orchestra.processes import terminal  # noqa: PLC0415 - `orchestra --help` reads this module

    options = terminal.parser(
        "status", "Show what runs on this machine. Exit code 3: it does not run."
    )
    terminal.add_json(options)
    return terminal.run(_main, options=options, argv=argv)


def _main(settings: "Settings", arguments: argparse.Namespace) -> int:
    from orchestra.processes import record, terminal, usage  # noqa: PLC0415 - as above

    known = record.read(settings)
    state = known.state if known.is_running else "stopped"
    rows = usage.measure(known) if known.is_running else []
    if arguments.json:
        answer = {"state": state, "url": known.url, "data_dir": str(settings.data_dir)}
        terminal.answer_json({**answer, "processes": [row.as_json() for row in rows]})
    else:
        terminal.answer(f"AI Orchestra on {settings.data_dir}: {state}")
        if rows:
            terminal.answer(f"{known.url}\n{_table(rows)}")
    return terminal.SUCCESS if known.is_running else terminal.NOT_RUNNING


HEADINGS = ("name", "state", "pid", "uptime", "restarts", "memory", "cpu")


def _table(rows: "list[Row]") -> str:
    lines = [HEADINGS, *(row.as_text() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )

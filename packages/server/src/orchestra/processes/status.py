"""`orchestra status`: what runs on this data directory, and what it costs."""

import argparse

from orchestra.foundation.settings import Settings
from orchestra.processes import record, terminal, usage
from orchestra.processes.usage import Row

HEADINGS = ("name", "state", "pid", "uptime", "restarts", "memory", "cpu")


def command(argv: list[str]) -> int:
    """Show what runs on this machine, with its memory and processor use."""
    options = terminal.parser(
        "status", "Show what runs on this machine. Exit code 5: nothing does."
    )
    terminal.add_json(options)
    return terminal.run(_main, options=options, argv=argv)


def _main(settings: Settings, arguments: argparse.Namespace) -> int:
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


def _table(rows: list[Row]) -> str:
    lines = [HEADINGS, *(row.as_text() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )

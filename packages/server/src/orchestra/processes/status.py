"""`orchestra status`: what runs on this data directory, and what it costs."""

import argparse
import http.client
import json
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from orchestra.engines.address import Address
from orchestra.foundation.settings import Settings
from orchestra.processes import record, terminal, usage
from orchestra.processes.planes import control_planes
from orchestra.processes.record import Record
from orchestra.processes.usage import Row

HEADINGS = ("name", "state", "pid", "uptime", "restarts", "memory", "cpu", "agents", "id")
MAX_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class PlaneRow:
    """What a control plane says of itself: by which id agents name it, and how many it has."""

    control_plane: str | None = None
    agents: int | None = None

    def as_text(self) -> tuple[str, str]:
        return ("-" if self.agents is None else str(self.agents), self.control_plane or "-")


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
    planes = _planes(settings, known) if known.is_running else {}
    if arguments.json:
        answer = {"state": state, "url": known.url, "data_dir": str(settings.data_dir)}
        terminal.answer_json({**answer, "processes": _as_json(rows, planes)})
    else:
        terminal.answer(f"AI Orchestra on {settings.data_dir}: {state}")
        if rows:
            terminal.answer(f"{known.url}\n{_table(rows, planes)}")
    return terminal.SUCCESS if known.is_running else terminal.NOT_RUNNING


def _planes(settings: Settings, known: Record) -> dict[str, PlaneRow]:
    """By the name of the program; without those that do not answer."""
    count = sum(item.name.startswith("control-plane") for item in known.processes)
    running = settings.with_values(
        "running instance",
        **{name: value for name, value in known.settings.items() if name.endswith("_listen")},
        control_planes=max(1, count),
    )
    said = {plane.name: _said(Address(plane.probes)) for plane in control_planes(running)}
    return {
        name: PlaneRow(content.get("control_plane"), content.get("agents"))
        for name, content in said.items()
    }


def _said(address: Address) -> dict[str, Any]:
    connection = http.client.HTTPConnection("localhost")
    try:
        connection.sock = address.connect()
        connection.request("GET", "/health")
        reply = connection.getresponse()
        return json.loads(reply.read(MAX_ANSWER_BYTES)) if reply.status == HTTPStatus.OK else {}
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    finally:
        connection.close()


def _as_json(rows: list[Row], planes: dict[str, PlaneRow]) -> list[dict[str, object]]:
    return [{**row.as_json(), **asdict(planes.get(row.name, PlaneRow()))} for row in rows]


def _table(rows: list[Row], planes: dict[str, PlaneRow]) -> str:
    texts = [(*row.as_text(), *planes.get(row.name, PlaneRow()).as_text()) for row in rows]
    lines = [HEADINGS, *texts]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )

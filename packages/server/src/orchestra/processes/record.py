"""`runtime.json`: what runs here, written by the supervisor and read by `status`, `down` and every
tool.

A process is named by its id and its start time, since ids are used again.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestra.engines.process import write_private
from orchestra.foundation.settings import Settings

STAT_FIELDS_BEFORE_START = 19  # after the name, see proc_pid_stat(5)


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process for all time: `started` is in clock ticks since the machine's start."""

    pid: int
    started: int

    @property
    def is_alive(self) -> bool:
        return start_ticks(self.pid) == self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """One supervised program as `status` shows it."""

    name: str
    state: str
    pid: int = 0
    started: int = 0
    restarts: int = 0
    last_end: str = ""

    @property
    def process(self) -> ProcessId:
        return ProcessId(self.pid, self.started)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What runs, which no restart survives, and the ports and passwords, which do."""

    supervisor: ProcessId = ProcessId(0, 0)
    state: str = "stopped"
    url: str = ""
    ports: Mapping[str, int] = field(default_factory=dict[str, int])
    passwords: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    processes: tuple[ProcessRecord, ...] = ()

    @property
    def is_running(self) -> bool:
        return self.supervisor.is_alive

    def evolve(self, **changes: Any) -> "Record":
        return dataclasses.replace(self, **changes)


def path_of(settings: Settings) -> Path:
    return settings.data_dir / "runtime.json"


def read(settings: Settings) -> Record:
    """The record of this data directory; an empty one if there is none or it cannot be read."""
    try:
        content: dict[str, Any] = json.loads(path_of(settings).read_bytes())
        return _from_json(content)
    except (OSError, ValueError, TypeError, KeyError):
        return Record()


def write(settings: Settings, record: Record) -> None:
    write_private(path_of(settings), json.dumps(dataclasses.asdict(record), indent=2))


def settings_of_running(settings: Settings) -> Settings:
    """The settings with the addresses of the instance that runs here, for tools beside it."""
    known = read(settings).settings
    missing = {name: value for name, value in known.items() if not getattr(settings, name)}
    return settings.with_values("running instance", **missing)


def identify(pid: int) -> ProcessId:
    return ProcessId(pid, start_ticks(pid) or 0)


def start_ticks(pid: int) -> int | None:
    """When a process started; None if there is none, or only its remains (a zombie)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = text.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else int(rest[STAT_FIELDS_BEFORE_START - 1])


def _from_json(content: dict[str, Any]) -> Record:
    processes = tuple(ProcessRecord(**item) for item in content.pop("processes"))
    return Record(supervisor=ProcessId(**content.pop("supervisor")), processes=processes, **content)

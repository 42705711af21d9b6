"""What the processes of an instance use, those they started included."""

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import psutil

from orchestra.foundation import clock
from orchestra.processes.record import ProcessRecord, Record

# Long enough to see a percent of a core: the kernel counts in steps of 10 ms.
SAMPLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Row:
    """One program. Memory is in bytes, as it is in RAM now; `cpu` in percent of one core."""

    name: str
    state: str
    pid: int | None
    uptime_seconds: float
    restarts: int
    memory_bytes: int
    cpu_percent: float
    last_end: str

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    def as_text(self) -> tuple[str, ...]:
        memory = f"{self.memory_bytes / 2**20:.0f} MB"
        uptime, cpu = _duration(self.uptime_seconds), f"{self.cpu_percent:.1f} %"
        pid = str(self.pid) if self.pid else "-"
        return (self.name, self.state, pid, uptime, str(self.restarts), memory, cpu)


def measure(record: Record) -> list[Row]:
    """A row for the supervisor and for each program; takes half a second to see the processor's
    use.
    """
    supervisor = ProcessRecord(
        name="supervisor",
        state=record.state,
        pid=record.supervisor.pid,
        started=record.supervisor.started,
    )
    trees = {supervisor.name: (supervisor, _alone(supervisor.pid))}
    trees |= {item.name: (item, _tree(item)) for item in record.processes}
    before = {name: _cpu_seconds(tree) for name, (_, tree) in trees.items()}
    began = clock.monotonic()
    threading.Event().wait(SAMPLE_SECONDS)
    passed = clock.monotonic() - began
    return [
        _row(item, tree, cpu=(_cpu_seconds(tree) - before[name]) / passed)
        for name, (item, tree) in trees.items()
    ]


def _row(item: ProcessRecord, tree: list[psutil.Process], *, cpu: float) -> Row:
    return Row(
        name=item.name,
        state=item.state,
        pid=item.pid or None,
        uptime_seconds=round(_uptime(tree[0]), 1) if tree else 0.0,
        restarts=item.restarts,
        memory_bytes=sum(_memory(process) for process in tree),
        cpu_percent=round(100 * max(0.0, cpu), 1),
        last_end=item.last_end,
    )


def _tree(item: ProcessRecord) -> list[psutil.Process]:
    if not item.process.is_alive:
        return []
    try:
        process = psutil.Process(item.pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _alone(pid: int) -> list[psutil.Process]:
    """The supervisor's children are the programs, which have rows of their own."""
    try:
        return [psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return []


def _cpu_seconds(tree: Iterable[psutil.Process]) -> float:
    return sum(_times(process) for process in tree)


def _times(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def _memory(process: psutil.Process) -> int:
    """Pages that several processes share count in part: PostgreSQL's all map the same buffers."""
    try:
        return process.memory_full_info().pss
    except psutil.NoSuchProcess:
        return 0
    except psutil.AccessDenied:
        return process.memory_info().rss


def _uptime(process: psutil.Process) -> float:
    try:
        return clock.now().timestamp() - process.create_time()
    except psutil.NoSuchProcess:
        return 0.0


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"

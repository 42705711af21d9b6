"""What the machine is and does: its description, CPU time by process, flushes of its disk."""

import os
import platform
import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

PROC = Path("/proc")
FSYNC_SAMPLES = 200
ROUND_TRIP_SAMPLES = 2_000
ADDITIONS, ADDITION_SAMPLES = 1_000_000, 10
# Fields of /proc/diskstats after the device's two numbers and name; 16 counts flush requests.
NAME_COLUMN, FLUSH_COLUMN = 2, 2 + 16
PARENT_FIELD, CHILDREN_USER_FIELD, CHILDREN_SYSTEM_FIELD = 1, 13, 14  # after the name in stat
NANOSECONDS = 1e9


def tree(roots: Iterable[int]) -> list[int]:
    """The processes `roots` and all that descend from them."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[PARENT_FIELD]), []).append(int(entry.name))
    found: list[int] = []
    todo = list(roots)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """CPU time of whole process trees, in seconds.

    Living threads by the scheduler's nanoseconds; children that have ended and were waited for by
    the kernel's ticks of 10 ms.
    """
    return sum(_threads(pid) + _ended_children(pid) for pid in tree(roots))


def resident_bytes(pid: int) -> int:
    """Resident memory of one process."""
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"process {pid} has no resident memory")


def flushes(directory: Path) -> int:
    """Flush requests that the device under `directory` has completed; 0 if it cannot be told."""
    device = directory.stat().st_dev
    wanted = [str(os.major(device)), str(os.minor(device))]
    for line in (PROC / "diskstats").read_text().splitlines():
        fields = line.split()
        if fields[:NAME_COLUMN] == wanted:
            return int(fields[FLUSH_COLUMN])
    return 0


def fsyncs_per_second(directory: Path) -> float:
    """Appends of 4 KiB, each made durable."""
    path = directory / "fsync.probe"
    seconds: list[float] = []
    with path.open("wb", buffering=0) as file:
        for _ in range(FSYNC_SAMPLES):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - began)
    path.unlink()
    return 1 / median(seconds)


def loopback_round_trip_us() -> float:
    """One byte there and back over TCP on 127.0.0.1, median in microseconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        with socket.create_connection(server.getsockname()) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            seconds: list[float] = []
            for _ in range(ROUND_TRIP_SAMPLES):
                began = time.perf_counter()
                client.sendall(b".")
                client.recv(1)
                seconds.append(time.perf_counter() - began)
    return 1e6 * median(seconds)


def additions_per_us() -> float:
    """How fast Python adds, in the median: a shared machine's cores change theirs threefold."""
    seconds: list[float] = []
    for _ in range(ADDITION_SAMPLES):
        total, began = 0, time.perf_counter()
        for number in range(ADDITIONS):
            total += number
        seconds.append(time.perf_counter() - began)
    return ADDITIONS / median(seconds) / 1e6


def describe(directory: Path) -> list[str]:
    """Lines that say on what the figures were measured."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return [
        f"{os.cpu_count()} cores of {_processor()}, {pages / 2**30:.0f} GiB of memory",
        f"Linux {platform.release()}, Python {platform.python_version()}",
        f"{additions_per_us():.0f} additions a microsecond in one thread of Python",
        f"{fsyncs_per_second(directory):,.0f} fsync/s on the data directory's disk",
        f"{loopback_round_trip_us():.0f} µs for a round trip over loopback TCP",
        _load(),
    ]


def _load() -> str:
    load = os.getloadavg()[0]
    busy = "; others were at work, so times say little and ratios something" if load > 1 else ""
    return f"load average before the run: {load:.1f}{busy}"


def _processor() -> str:
    for line in (PROC / "cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _threads(pid: int) -> float:
    total = 0
    for entry in _entries(PROC / str(pid) / "task"):
        try:
            total += int((entry / "schedstat").read_text().split()[0])
        except (OSError, IndexError):
            continue
    return total / NANOSECONDS


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _ended_children(pid: int) -> float:
    fields = _stat(pid)
    if not fields:
        return 0.0
    ticks = int(fields[CHILDREN_USER_FIELD]) + int(fields[CHILDREN_SYSTEM_FIELD])
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _echo(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while received := connection.recv(1):
            connection.sendall(received)

"""What a worker writes when it has a task: how long the task was on its way.

Submitter and worker read the same monotonic clock, since they run on one machine. An append of
eight bytes is atomic, so every thread and process of a worker shares one file.
"""

import os
import struct
import time
from pathlib import Path

ENVIRONMENT = "BENCH_LEDGER"
_ENTRY = struct.Struct("q")
NANOSECONDS_PER_MILLISECOND = 1e6


class Writer:
    """The worker's side; opens the file that the environment names at its first task."""

    def __init__(self, variable: str = ENVIRONMENT) -> None:
        self._variable = variable
        self._file = -1

    def has(self, sent_ns: int) -> None:
        """Notes that the task sent at `sent_ns` is here."""
        delay = time.monotonic_ns() - sent_ns
        if self._file < 0:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._file = os.open(os.environ[self._variable], flags, 0o600)
        os.write(self._file, _ENTRY.pack(delay))


class Ledger:
    """The harness's side."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def count(self) -> int:
        return self.path.stat().st_size // _ENTRY.size

    def delays_ms(self, start: int) -> list[float]:
        """Delays of the tasks that came after the first `start`, in milliseconds."""
        content = self.path.read_bytes()[start * _ENTRY.size :]
        return [delay / NANOSECONDS_PER_MILLISECOND for (delay,) in _ENTRY.iter_unpack(content)]

    def wait_for(self, count: int, *, seconds: float) -> None:
        """Returns when `count` tasks have come; raises TimeoutError naming how many have."""
        limit = time.monotonic() + seconds
        while self.count() < count:
            if time.monotonic() > limit:
                raise TimeoutError(f"{self.count()} of {count} tasks came within {seconds} s")
            time.sleep(0.002)

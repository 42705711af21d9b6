"""What a task of the fault comparison does on every system: work a while, note its number."""

import os
import time
from pathlib import Path

ENVIRONMENT = "BENCH_EFFECTS"
WORK_SECONDS = 0.6  # of eight slots: slower than tasks come, so that some wait when it happens


def note(number: int) -> None:
    """Appends the number by one write, so that many workers share a file."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    descriptor = os.open(os.environ[ENVIRONMENT], flags, 0o600)
    try:
        os.write(descriptor, f"{number} {time.monotonic():.3f}\n".encode())
    finally:
        os.close(descriptor)


def read(path: Path) -> list[tuple[int, float]]:
    """Numbers and moments, in the order of their effects."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(number), float(moment)) for number, moment in (line.split() for line in lines)]

"""What a run writes down about itself, from processes that may be killed at any moment.

One JSON object a line, each appended by one write, so that several processes share a file and no
line is half another's. A line that was cut off by a death is the last of its file's content and
is left out.
"""

import os
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)
CHILDREN = 2  # of each task that has some
FIRST_KIN = 1_000_000  # no load is as long


def kin_number(submission: int, place: int) -> int:
    """Under which number the effect of a child is noted."""
    return FIRST_KIN + submission * CHILDREN + place


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One request of the load. `status` 0: no answer came. Times are Unix seconds."""

    submission: int
    key: str
    kind: str
    began: float
    ended: float = 0.0
    status: int = 0
    task_id: str = ""  # what the answer acknowledged
    has_retry_after: bool = False
    is_begun: bool = False  # written before the request; what follows it is known only later


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler did to the world: `key` is the one it was given for that."""

    submission: int
    key: str
    task_id: str
    epoch: int
    attempt: int
    agent: str
    at: float


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One event that a reader of a task's feed was shown. `is_first` after (re)connecting."""

    reader: int
    task_id: str
    event: str
    cursor: str = ""
    text: str = ""
    state: str = ""
    connection: int = 1


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of the run's tasks at one moment, from one statement.

    `acknowledged` was counted before it, `begun` after it: what the database has lies between.
    """

    at: float
    acknowledged: int
    begun: int
    total: int
    by_state: dict[str, int]


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Resident bytes of one process."""

    at: float
    name: str
    pid: int
    resident: int


class Journal:
    """One file of lines, open for appending."""

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._descriptor = os.open(path, flags, 0o600)

    def write(self, line: msgspec.Struct) -> None:
        os.write(self._descriptor, msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        os.close(self._descriptor)


def read(path: Path, kind: type[T]) -> list[T]:
    """The lines of a file; none if it was never made. Raises on a line that makes no sense."""
    if not path.exists():
        return []
    *lines, _cut_off = path.read_bytes().split(b"\n")
    decoder = msgspec.json.Decoder(kind)
    return [decoder.decode(line) for line in lines]

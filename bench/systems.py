"""What every system under test can do, so that one benchmark drives them alike."""

from collections.abc import Mapping
from typing import Protocol

from bench.ledger import Ledger


class System(Protocol):
    """A started task system with one worker of eight slots."""

    @property
    def name(self) -> str: ...

    @property
    def durability(self) -> str:
        """What a power cut may lose."""
        ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def parts(self) -> Mapping[str, int]:
        """Its programs by name: the whole system, with broker, database and worker."""
        ...

    def submit(self, sent_ns: int) -> None:
        """Hands one task over; returns when the system has acknowledged it."""
        ...

    def submit_many(self, count: int) -> None:
        """Hands `count` tasks over, by the system's own way for many."""
        ...

    def wait_done(self, count: int, *, seconds: float) -> None:
        """Returns when `count` tasks in all are finished, not only begun."""
        ...

    def stop(self) -> None: ...

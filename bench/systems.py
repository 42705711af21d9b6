"""What every system under test can do, so that one benchmark drives them alike."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from bench.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a system is asked for; a slow one would measure its queue instead of its way."""

    per_second: int = 50  # of the dispatch benchmark's open loop
    latency_tasks: int = 150  # in one of its rounds
    most_tasks: int = 1_000_000  # in one round of throughput


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

    @property
    def limits(self) -> Limits: ...

    def wake(self) -> None:
        """Called when its turn begins."""
        ...

    def rest(self) -> None:
        """Called when its turn ends: what polls would disturb the others."""
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


class Steady:
    """Of a system that costs next to nothing while it waits, and keeps up with every load."""

    limits = Limits()

    def wake(self) -> None:
        """Nothing to do."""

    def rest(self) -> None:
        """Nothing to do."""


@contextmanager
def turn(system: System) -> Generator[None]:
    """Whoever polls does so only in this block."""
    system.wake()
    try:
        yield
    finally:
        system.rest()

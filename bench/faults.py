"""The same faults against us, Celery and Taskiq, side by side.

Workers that end by themselves are started again, as a service manager does. Each system gets tasks
at a steady rate; something is killed in the middle. Counted are tasks that were acknowledged and
took no effect within our patience (lost), effects beyond the first of a task (doubled), and seconds
from the fault to the first effect after it and to the last one.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from bench.faulty import Faulty, FaultyCelery, FaultyTaskiq, Ours
from bench.peers import effects

TASKS, RATE = 120, 20.0
FAULT_AT = 40  # tasks submitted before it
PATIENCE_SECONDS = 30.0
SYSTEMS: tuple[Callable[[Path], Faulty], ...] = (Ours, FaultyCelery, FaultyTaskiq)
FAULTS: dict[str, Callable[[Faulty], None]] = {
    "worker": lambda system: system.restart_worker(),
    "broker": lambda system: system.restart_broker(forgets=False),
    "store": lambda system: system.restart_broker(forgets=True),
}
WORDS = {
    "worker": "kill -9 of the worker, started again",
    "broker": "kill -9 of the broker, started again",
    "store": "kill -9 of the broker, its files deleted",
}


@dataclass(frozen=True, slots=True)
class Damage:
    """What a fault has cost. Seconds are None when nothing came after it."""

    system: str
    acknowledged: int
    refused: int
    lost: int
    doubled: int
    first_seconds: float | None
    last_seconds: float | None

    @property
    def row(self) -> str:
        first = "never" if self.first_seconds is None else f"{self.first_seconds:.1f} s"
        last = "never" if self.last_seconds is None else f"{self.last_seconds:.1f} s"
        return (
            f"| {self.system} | {self.acknowledged} | {self.refused} | {self.lost} "
            f"| {self.doubled} | {first} | {last} |"
        )


def measure(names: Sequence[str]) -> dict[str, list[Damage]]:
    """What these faults have cost each system, ours first."""
    return {name: [_alone(place, name) for place in range(len(SYSTEMS))] for name in names}


def _alone(place: int, fault: str) -> Damage:
    """In a process of its own: a peer's application belongs to one broker for its life."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return alone.submit(_measure, place, fault).result()


def _measure(place: int, fault: str) -> Damage:
    logging.disable()  # of the peers' clients, who have much to say of a broker that is away
    with tempfile.TemporaryDirectory(prefix="bench-faults-") as directory:
        system = SYSTEMS[place](Path(directory))
        try:
            _warm_up(system)
            return _run(system, FAULTS[fault])
        finally:
            system.stop()


def _warm_up(system: Faulty) -> None:
    system.submit(-1)
    _wait(lambda: len(effects.read(system.effects)) == 1)


def _run(system: Faulty, fault: Callable[[Faulty], None]) -> Damage:
    acknowledged: set[int] = set()
    began, broken_at = time.monotonic(), 0.0
    for number in range(TASKS):
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        if number == FAULT_AT:
            broken_at = time.monotonic()
            fault(system)
        system.keep_alive()
        with suppress(Exception):  # whatever a system says when it cannot
            system.submit(number)
            acknowledged.add(number)

    def is_done() -> bool:
        system.keep_alive()
        return acknowledged <= {number for number, _ in effects.read(system.effects)}

    _wait(is_done)
    return _damage(system, acknowledged, broken_at)


def _damage(system: Faulty, acknowledged: set[int], broken_at: float) -> Damage:
    noted = [(number, at) for number, at in effects.read(system.effects) if number >= 0]
    later = [at - broken_at for _, at in noted if at > broken_at]
    return Damage(
        system=system.name,
        acknowledged=len(acknowledged),
        refused=TASKS - len(acknowledged),
        lost=len(acknowledged - {number for number, _ in noted}),
        doubled=len(noted) - len({number for number, _ in noted}),
        first_seconds=min(later, default=None),
        last_seconds=max(later, default=None),
    )


def _wait(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < limit:
        time.sleep(0.05)

"""Ten thousand connected agents, and more tasks than can be done: what is done, and who waits.

Critical tasks come at a steady rate, first alone, then beside normal ones at rising rates, up to
the one that is wanted, whether the machine can do as many or not. An agent has done a task when it
is told that the end is kept, so a delay is from the moment at which a task is due to the commit of
its end. Memory is that of all programs of ours; PostgreSQL's grows until its cache is full.
"""

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import machine
from bench.fleet import CAPABILITY, OTHERS_VARIABLE, SENT
from bench.fleet_program import FleetProgram
from bench.ledger import ENVIRONMENT, Ledger
from bench.product import Product
from bench.statistic import percentile

LESSER_PER_SECOND = (250, 500, 750, 1_000)
OFFERED_PER_SECOND = 2_000
CRITICAL_PER_SECOND = 10.0
REQUESTS_PER_SECOND = 50  # of several tasks each
SUBMITTERS = 4
SETTLE_SECONDS = 10.0
PATIENCE_SECONDS = 120.0
PROGRAMS = ("api", "control-plane", "gateway", "nats", "worker")
# Memory is compared from here on: caches and pools have filled by then.
WARM_SHARE = 1 / 3


@dataclass(frozen=True, slots=True)
class Critical:
    """Milliseconds of critical tasks, from due to kept; how many were not taken in."""

    delays: Sequence[float]
    refused: int

    def share(self, share: float) -> float:
        return percentile(self.delays, share)


@dataclass(frozen=True, slots=True)
class Load:
    """Normal tasks, wanted and per second of `seconds`, and the critical ones beside them."""

    wanted: int
    seconds: float
    taken: float
    refused: float
    done: float
    critical: Critical


@dataclass(frozen=True, slots=True)
class FleetLoad:
    """Loads in rising order; memory in bytes by program, at three moments of the last."""

    agents: int
    alone: Critical
    loads: Sequence[Load]
    memory_before: Mapping[str, int]
    memory_warm: Mapping[str, int]
    memory_after: Mapping[str, int]

    @property
    def growth(self) -> float:
        """Of all programs together, from warm to the end, as a factor."""
        return sum(self.memory_after.values()) / sum(self.memory_warm.values())


def measure(product: Product, directory: Path, *, count: int, seconds: float) -> FleetLoad:
    """All attach; critical tasks go alone, then beside rising loads, each for half the time.

    The last load, the one that was asked for, has the whole time.
    """
    urgent, others = Ledger(directory / "urgent.ledger"), Ledger(directory / "others.ledger")
    environment = {ENVIRONMENT: str(urgent.path), OTHERS_VARIABLE: str(others.path)}
    with FleetProgram(
        directory, product.url, product.key, count=count, environment=environment
    ) as fleet:
        fleet.go()
        fleet.wait_attached(1)
        time.sleep(SETTLE_SECONDS)
        critical = _Critical(product, urgent)
        critical.run(SETTLE_SECONDS)
        alone = critical.run(seconds / 2)
        loads = [
            _load(product, critical, others, wanted=wanted, seconds=seconds / 2)
            for wanted in LESSER_PER_SECOND
        ]
        before, warm = _memory(product), dict[str, int]()
        timer = threading.Timer(seconds * WARM_SHARE, lambda: warm.update(_memory(product)))
        timer.start()
        loads.append(_load(product, critical, others, wanted=OFFERED_PER_SECOND, seconds=seconds))
        return FleetLoad(count, alone, loads, before, warm, _memory(product))


def _load(
    product: Product, critical: "_Critical", others: Ledger, *, wanted: int, seconds: float
) -> Load:
    """Ends when all that was taken in is done."""
    start = others.count()
    with _Pressure(product, wanted).running() as pressure:
        began = time.monotonic()
        beside = critical.run(seconds)
        passed = time.monotonic() - began
        done, taken, refused = others.count() - start, pressure.taken, pressure.refused
    others.wait_for(start + pressure.taken, seconds=PATIENCE_SECONDS)
    return Load(wanted, passed, taken / passed, refused / passed, done / passed, beside)


def _memory(product: Product) -> dict[str, int]:
    parts = product.parts()
    return {name: machine.resident_bytes(parts[name]) for name in PROGRAMS}


class _Critical:
    def __init__(self, product: Product, ledger: Ledger) -> None:
        self._api, self._ledger = product.api(), ledger

    def run(self, seconds: float) -> Critical:
        """Open loop; waits for the last."""
        start, began = self._ledger.count(), time.monotonic_ns()
        count, refused = int(seconds * CRITICAL_PER_SECOND), 0
        for number in range(count):
            due = began + int(number * 1e9 / CRITICAL_PER_SECOND)
            time.sleep(max(0.0, (due - time.monotonic_ns()) / 1e9))
            try:
                self._api.request("POST", "/api/tasks", {**_task(due), "priority": "critical"})
            except (RuntimeError, OSError):
                self._api.close()
                refused += 1
        self._ledger.wait_for(start + count - refused, seconds=PATIENCE_SECONDS)
        return Critical(self._ledger.delays_ms(start), refused)


@dataclass
class _Pressure:
    """Normal tasks at a steady rate, in batches, from some threads."""

    product: Product
    wanted: int
    taken: int = 0
    refused: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Generator["_Pressure"]:
        threads = [
            threading.Thread(target=self._submit, args=[number / REQUESTS_PER_SECOND], daemon=True)
            for number in range(SUBMITTERS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join(PATIENCE_SECONDS)

    def _submit(self, later: float) -> None:
        """One that falls behind goes on at its own pace: what is offered is what it could send.

        Each begins some seconds `later`, so that the rate is even.
        """
        api, due = self.product.api(), time.monotonic() + later
        size = self.wanted // REQUESTS_PER_SECOND
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            tasks = [_task(time.monotonic_ns())] * size
            try:
                api.request("POST", "/api/tasks/batch", {"tasks": tasks})
            except (RuntimeError, OSError):
                api.close()
                self._count(refused=size)
            else:
                self._count(taken=size)
            due += SUBMITTERS / REQUESTS_PER_SECOND

    def _count(self, *, taken: int = 0, refused: int = 0) -> None:
        with self._lock:
            self.taken += taken
            self.refused += refused


def _task(sent_ns: int) -> dict[str, object]:
    # As text: a number of JSON is a double on the agent's side, and has no nanoseconds.
    return {"capability": CAPABILITY, "input": {SENT: str(sent_ns)}}

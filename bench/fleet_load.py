"""Ten thousand connected agents, and more tasks than can be done: what is done, and who waits.

Critical tasks come at a steady rate, first alone, then beside normal ones at the rate that the
first issue names, whether the machine can do as many or not. An agent has done a task when it is
told that the end is kept, so a delay is from the moment at which a task is due to the commit of its
end. Memory is that of all programs of ours; PostgreSQL's grows until its cache is full.
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

OFFERED_PER_SECOND = 2_000
CRITICAL_PER_SECOND = 10.0
BATCH = 40
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
class FleetLoad:
    """Rates are of normal tasks a second; memory in bytes by program, at three moments."""

    agents: int
    seconds: float
    taken_per_second: float
    refused_per_second: float
    done_per_second: float
    alone: Critical
    loaded: Critical
    memory_before: Mapping[str, int]
    memory_warm: Mapping[str, int]
    memory_after: Mapping[str, int]

    @property
    def growth(self) -> float:
        """Of all programs together, from warm to the end, as a factor."""
        return sum(self.memory_after.values()) / sum(self.memory_warm.values())


def measure(product: Product, directory: Path, *, count: int, seconds: float) -> FleetLoad:
    """All attach, critical tasks go alone for half the time, then beside the load."""
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
        before, done = _memory(product), others.count()
        with _Pressure(product).running() as pressure:
            warm: dict[str, int] = {}
            timer = threading.Timer(seconds * WARM_SHARE, lambda: warm.update(_memory(product)))
            timer.start()
            began = time.monotonic()
            loaded = critical.run(seconds)
            passed = time.monotonic() - began
            after, done = _memory(product), others.count() - done
            taken, refused = pressure.taken, pressure.refused
    return FleetLoad(
        agents=count,
        seconds=passed,
        taken_per_second=taken / passed,
        refused_per_second=refused / passed,
        done_per_second=done / passed,
        alone=alone,
        loaded=loaded,
        memory_before=before,
        memory_warm=warm,
        memory_after=after,
    )


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
    taken: int = 0
    refused: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Generator["_Pressure"]:
        threads = [
            threading.Thread(
                target=self._submit, args=[number * BATCH / OFFERED_PER_SECOND], daemon=True
            )
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
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            tasks = [_task(time.monotonic_ns())] * BATCH
            try:
                api.request("POST", "/api/tasks/batch", {"tasks": tasks})
            except (RuntimeError, OSError):
                api.close()
                self._count(refused=BATCH)
            else:
                self._count(taken=BATCH)
            due += BATCH * SUBMITTERS / OFFERED_PER_SECOND

    def _count(self, *, taken: int = 0, refused: int = 0) -> None:
        with self._lock:
            self.taken += taken
            self.refused += refused


def _task(sent_ns: int) -> dict[str, object]:
    # As text: a number of JSON is a double on the agent's side, and has no nanoseconds.
    return {"capability": CAPABILITY, "input": {SENT: str(sent_ns)}}

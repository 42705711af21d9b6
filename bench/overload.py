"""How long critical tasks take while ten times more normal ones come than can be done.

One agent of eight slots, each task 200 ms of work: what it can do is known. Critical tasks come at
a quarter of that, first alone, then beside normal ones at ten times it, whose queue only grows.
"""

import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import programs
from bench.ledger import ENVIRONMENT, Ledger
from bench.overload_agent import CAPABILITY, SLOTS, WORK_SECONDS
from bench.product import Product
from bench.statistic import Rounds, percentile

PER_SECOND = SLOTS / WORK_SECONDS
CRITICAL_PER_SECOND = PER_SECOND / 4
OVERLOAD = 10
BATCHES_PER_SECOND = 10
CONNECT_SECONDS = 30.0
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Overload:
    """Milliseconds from submit to done of critical tasks, a figure per round."""

    alone_p50: Rounds
    alone_p99: Rounds
    loaded_p50: Rounds
    loaded_p99: Rounds
    normal_submitted: int


def measure(product: Product, directory: Path, *, rounds: int, tasks: int) -> Overload:
    """The rounds alone come first: a backlog would go on after each that is loaded."""
    ledger = Ledger(directory / "overload.ledger")
    agent = programs.start(
        [sys.executable, "-m", "bench.overload_agent"],
        log=directory / "overload-agent.log",
        environment={ENVIRONMENT: str(ledger.path), **product.agent_environment()},
    )
    try:
        agent.wait_until(lambda: product.has_agent(CAPABILITY), seconds=CONNECT_SECONDS)
        critical = _Critical(product, ledger)
        critical.round(tasks // 4)
        alone = [critical.round(tasks) for _ in range(rounds)]
        with _Pressure(product).running() as pressure:
            critical.round(tasks // 4)
            loaded = [critical.round(tasks) for _ in range(rounds)]
    finally:
        agent.stop()
    return Overload(
        *(_figures(each, share) for each in (alone, loaded) for share in (0.5, 0.99)),
        normal_submitted=pressure.submitted,
    )


def _figures(rounds: list[list[float]], share: float) -> Rounds:
    return Rounds(tuple(percentile(one, share) for one in rounds))


class _Critical:
    def __init__(self, product: Product, ledger: Ledger) -> None:
        self._api, self._ledger = product.api(), ledger

    def round(self, count: int) -> list[float]:
        """Open loop; the delays in milliseconds."""
        start, began = self._ledger.count(), time.monotonic_ns()
        for number in range(count):
            due = began + int(number * 1e9 / CRITICAL_PER_SECOND)
            time.sleep(max(0.0, (due - time.monotonic_ns()) / 1e9))
            body = _task(is_critical=True, sent_ns=due)
            self._api.request("POST", "/api/tasks", {**body, "priority": "critical"})
        self._ledger.wait_for(start + count, seconds=PATIENCE_SECONDS)
        return self._ledger.delays_ms(start)


@dataclass
class _Pressure:
    """Normal tasks at a steady rate, in batches, from a thread of its own."""

    product: Product
    submitted: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Generator["_Pressure"]:
        thread = threading.Thread(target=self._submit, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            thread.join(PATIENCE_SECONDS)

    def _submit(self) -> None:
        api, size = self.product.api(), int(OVERLOAD * PER_SECOND / BATCHES_PER_SECOND)
        tasks = [_task(is_critical=False, sent_ns=0)] * size
        due = time.monotonic()
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            api.request("POST", "/api/tasks/batch", {"tasks": tasks})
            self.submitted += size
            due += 1 / BATCHES_PER_SECOND


def _task(*, is_critical: bool, sent_ns: int) -> dict[str, object]:
    return {
        "capability": CAPABILITY,
        "input": {"is_critical": is_critical, "sent_ns": sent_ns},
    }

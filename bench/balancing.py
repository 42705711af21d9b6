"""What each way of choosing among agents gives when they differ: one quick, one slow, one busy.

Under every strategy first an open loop at a tenth of what they can do together, for the delays;
then a backlog, for the throughput. Tasks belong to conversations: it is counted how often the next
one of a conversation met the agent that had the one before.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import programs
from bench.product import Product
from bench.statistic import percentile
from bench.uneven import CAPABILITY, KEY_VARIABLE, KINDS, SLOTS

STRATEGIES = ("least_busy", "round_robin", "latency", "resources", "affinity")
TOGETHER = sum(SLOTS / kind.seconds for kind in KINDS)  # tasks per second
CONVERSATIONS = 40
BATCH = 500  # tasks of one request
CONNECT_SECONDS = 30.0
PATIENCE_SECONDS = 120.0
# The choice of a strategy is read once a second, and what was seen of the former one has to fade.
SETTLE_SECONDS = 2.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """Under one strategy: delays in milliseconds, tasks per second, shares from 0 to 1."""

    strategy: str
    p50_ms: float
    p99_ms: float
    per_second: float
    same_agent: float
    by_agent: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Done:
    sent_ns: int
    done_ns: int
    key: str
    agent: str


def measure(product: Product, directory: Path, *, tasks: int) -> list[Outcome]:
    """`tasks` in the open loop of each strategy, and as many in its backlog."""
    ledger = directory / "balancing.ledger"
    ledger.touch()
    agents = programs.start(
        [sys.executable, "-m", "bench.uneven", product.url.removeprefix("http://"), str(ledger)],
        log=directory / "balancing-agents.log",
        environment={KEY_VARIABLE: product.key},
    )
    try:
        agents.wait_until(
            lambda: product.count_agents(CAPABILITY) == len(KINDS), seconds=CONNECT_SECONDS
        )
        load = _Load(product, ledger)
        return [load.under(strategy, tasks) for strategy in STRATEGIES]
    finally:
        agents.stop()


class _Load:
    def __init__(self, product: Product, ledger: Path) -> None:
        self._api, self._ledger = product.api(), ledger
        self._has_keys = False

    def under(self, strategy: str, tasks: int) -> Outcome:
        self._api.request("PATCH", f"/api/queues/{CAPABILITY}", {"balancing": strategy})
        time.sleep(SETTLE_SECONDS)
        self._has_keys = strategy == "affinity"  # a key is honoured under the others, too
        self._open_loop(tasks // 4)
        seen = self._open_loop(tasks)
        delays = [(item.done_ns - item.sent_ns) / 1e6 for item in seen]
        return Outcome(
            strategy=strategy,
            p50_ms=percentile(delays, 0.5),
            p99_ms=percentile(delays, 0.99),
            per_second=self._backlog(tasks),
            same_agent=_same_agent(seen),
            by_agent={
                kind.name: sum(item.agent == kind.name for item in seen) / len(seen)
                for kind in KINDS
            },
        )

    def _open_loop(self, tasks: int) -> list[_Done]:
        start, began = len(self._lines()), time.monotonic_ns()
        for number in range(tasks):
            due = began + int(number * 1e9 / (TOGETHER / 10))
            time.sleep(max(0.0, (due - time.monotonic_ns()) / 1e9))
            self._api.request("POST", "/api/tasks", self._task(number, due))
        return self._wait(start, tasks)

    def _backlog(self, tasks: int) -> float:
        start, now = len(self._lines()), time.monotonic_ns()
        for first in range(0, tasks, BATCH):
            size = min(BATCH, tasks - first)
            batch = [self._task(first + number, now) for number in range(size)]
            self._api.request("POST", "/api/tasks/batch", {"tasks": batch})
        done = self._wait(start, tasks)
        return tasks / ((max(item.done_ns for item in done) - now) / 1e9)

    def _task(self, number: int, sent_ns: int) -> dict[str, object]:
        key = f"conversation-{number % CONVERSATIONS}"
        bound = {"affinity_key": key} if self._has_keys else {}
        return {"capability": CAPABILITY, "input": {"sent_ns": str(sent_ns), "key": key}, **bound}

    def _wait(self, start: int, tasks: int) -> list[_Done]:
        limit = time.monotonic() + PATIENCE_SECONDS
        while len(lines := self._lines()) < start + tasks:
            if time.monotonic() > limit:
                raise TimeoutError(f"{len(lines) - start} of {tasks} tasks were done in time")
            time.sleep(0.02)
        return [_done(line) for line in lines[start : start + tasks]]

    def _lines(self) -> list[str]:
        return self._ledger.read_text().splitlines()


def _done(line: str) -> _Done:
    sent, done, key, agent = line.split()
    return _Done(int(sent), int(done), key, agent)


def _same_agent(done: Sequence[_Done]) -> float:
    """How often a conversation's next task met the agent of the one before."""
    last: dict[str, str] = {}
    met: list[bool] = []
    for item in sorted(done, key=lambda item: item.sent_ns):
        if item.key in last:
            met.append(last[item.key] == item.agent)
        last[item.key] = item.agent
    return sum(met) / len(met) if met else 0.0

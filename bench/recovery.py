"""How long until the task of an agent that was killed runs on another.

Some agents of one slot each get a task; then one with many slots joins them, and they are killed
(SIGKILL, the whole machine gone as far as anybody can tell) one after the other.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import programs
from bench.product import Product
from bench.programs import Program
from bench.recovery_agent import CAPABILITY
from bench.statistic import percentile

VICTIMS = 6
CONNECT_SECONDS = 60.0
PATIENCE_SECONDS = 60.0
BETWEEN_KILLS_SECONDS = 0.25
POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from the kill until the next attempt has begun, of each task."""

    seconds: tuple[float, ...]

    def share(self, share: float) -> float:
        return percentile(self.seconds, share)


@dataclass(frozen=True, slots=True)
class _Note:
    task: str
    attempt: int
    pid: int
    at_ns: int


def measure(product: Product, directory: Path, *, batches: int) -> Recovery:
    """Each batch kills as many agents as there are victims."""
    found: list[float] = []
    for number in range(batches):
        found += _batch(product, directory, number)
    return Recovery(tuple(found))


def _batch(product: Product, directory: Path, number: int) -> list[float]:
    notes = directory / f"recovery-{number}.notes"
    notes.touch()
    agents = [_agent(product, notes, slots=1) for _ in range(VICTIMS)]
    try:
        _wait(lambda: product.count_agents(CAPABILITY) == VICTIMS, CONNECT_SECONDS)
        for _ in range(VICTIMS):
            product.api().request("POST", "/api/tasks", {"capability": CAPABILITY})
        _wait(lambda: len(_read(notes)) == VICTIMS, PATIENCE_SECONDS)
        agents.append(_agent(product, notes, slots=VICTIMS))
        _wait(lambda: product.count_agents(CAPABILITY) == VICTIMS + 1, CONNECT_SECONDS)
        return _kill_all(notes)
    finally:
        for agent in agents:
            agent.stop()
        _wait(lambda: product.count_agents(CAPABILITY) == 0, CONNECT_SECONDS)


def _kill_all(notes: Path) -> list[float]:
    killed: dict[str, int] = {}
    for note in _read(notes):
        killed[note.task] = time.monotonic_ns()
        os.kill(note.pid, signal.SIGKILL)
        time.sleep(BETWEEN_KILLS_SECONDS)
    _wait(lambda: len(_read(notes)) == 2 * len(killed), PATIENCE_SECONDS)
    return [(note.at_ns - killed[note.task]) / 1e9 for note in _read(notes) if note.attempt > 1]


def _agent(product: Product, notes: Path, *, slots: int) -> Program:
    environment = {"BENCH_NOTES": str(notes), "BENCH_SLOTS": str(slots)}
    return programs.start(
        [sys.executable, "-m", "bench.recovery_agent"],
        log=notes.with_suffix(".log"),
        environment={**environment, **product.agent_environment()},
    )


def _read(notes: Path) -> list[_Note]:
    fields = [line.split() for line in notes.read_text().splitlines()]
    return [_Note(task, int(attempt), int(pid), int(at)) for task, attempt, pid, at in fields]


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError(f"in vain for {seconds:g} s")
        time.sleep(POLL_SECONDS)

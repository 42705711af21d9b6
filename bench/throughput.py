"""What many tasks cost: CPU time of every process of a system, its broker and database included.

The submitter counts too: a peer whose client talks to the broker does there what our api does.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.statistic import Rounds
from bench.systems import System

WARM_UP_TASKS = 500
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Cost:
    """One round: tasks for a CPU second without and with the submitting process, and flushes."""

    per_cpu_second: float
    per_cpu_second_with_submitter: float
    per_second: float
    flushes_per_task: float


@dataclass(frozen=True, slots=True)
class Throughput:
    """All rounds of one system."""

    costs: tuple[Cost, ...]

    def rounds(self, figure: str) -> Rounds:
        return Rounds(tuple(getattr(cost, figure) for cost in self.costs))


def measure(
    systems: Sequence[System], *, rounds: int, tasks: int, disk: Path
) -> dict[str, Throughput]:
    """Each round submits `tasks` at once and waits for the last to be done."""
    for system in systems:
        _run(system, tasks=WARM_UP_TASKS, disk=disk)
    costs: dict[str, list[Cost]] = {system.name: [] for system in systems}
    for _ in range(rounds):
        for system in systems:
            costs[system.name].append(_run(system, tasks=tasks, disk=disk))
    return {name: Throughput(tuple(each)) for name, each in costs.items()}


def _run(system: System, *, tasks: int, disk: Path) -> Cost:
    wanted = system.ledger.count() + tasks
    flushes, cpu, own = (
        machine.flushes(disk),
        machine.cpu_seconds(system.roots),
        time.process_time(),
    )
    began = time.monotonic()
    system.submit_many(tasks)
    # Waiting looks at a file every few milliseconds: the harness's cost and not the submitter's.
    own = time.process_time() - own
    system.wait_done(wanted, seconds=PATIENCE_SECONDS)
    seconds = time.monotonic() - began
    cpu = machine.cpu_seconds(system.roots) - cpu
    return Cost(
        per_cpu_second=tasks / cpu,
        per_cpu_second_with_submitter=tasks / (cpu + own),
        per_second=tasks / seconds,
        flushes_per_task=(machine.flushes(disk) - flushes) / tasks,
    )

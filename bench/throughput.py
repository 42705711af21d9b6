"""What many tasks cost: CPU time of every process of a system, its broker and database included.

The submitter counts too: a peer whose client talks to the broker does there what our api does.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import machine
from bench.statistic import Rounds
from bench.systems import System, turn

WARM_UP_TASKS = 500
PATIENCE_SECONDS = 60.0
MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class Cost:
    """One round. CPU is in microseconds for each task, by program and of the submitter."""

    cpu_by_part: Mapping[str, float]
    cpu_of_submitter: float
    per_second: float
    flushes_per_task: float

    @property
    def cpu_of_system(self) -> float:
        return sum(self.cpu_by_part.values())

    @property
    def per_cpu_second(self) -> float:
        """The submitter included."""
        return MICROSECONDS / (self.cpu_of_system + self.cpu_of_submitter)

    @property
    def per_cpu_second_of_system(self) -> float:
        return MICROSECONDS / self.cpu_of_system


@dataclass(frozen=True, slots=True)
class Throughput:
    """All rounds of one system."""

    costs: tuple[Cost, ...]

    def rounds(self, figure: Callable[[Cost], float]) -> Rounds:
        return Rounds(tuple(figure(cost) for cost in self.costs))

    def cpu_by_part(self) -> dict[str, float]:
        """The median of each program, the most expensive first."""
        names = self.costs[0].cpu_by_part
        medians = {name: median(cost.cpu_by_part[name] for cost in self.costs) for name in names}
        medians["submitter"] = median(cost.cpu_of_submitter for cost in self.costs)
        return dict(sorted(medians.items(), key=lambda item: -item[1]))


def measure(
    systems: Sequence[System], *, rounds: int, tasks: int, disk: Path
) -> dict[str, Throughput]:
    """Each round submits `tasks` at once and waits for the last to be done."""
    for system in systems:
        _turn(system, tasks=WARM_UP_TASKS, disk=disk)
    costs: dict[str, list[Cost]] = {system.name: [] for system in systems}
    for _ in range(rounds):
        for system in systems:
            costs[system.name].append(_turn(system, tasks=tasks, disk=disk))
    return {name: Throughput(tuple(each)) for name, each in costs.items()}


def _turn(system: System, *, tasks: int, disk: Path) -> Cost:
    with turn(system):
        return _run(system, tasks=min(tasks, system.limits.most_tasks), disk=disk)


def _run(system: System, *, tasks: int, disk: Path) -> Cost:
    wanted, parts = system.ledger.count() + tasks, system.parts
    flushes, cpu, own = machine.flushes(disk), _cpu(parts), time.process_time()
    began = time.monotonic()
    system.submit_many(tasks)
    # Waiting looks at a file every few milliseconds: the harness's cost and not the submitter's.
    own = time.process_time() - own
    system.wait_done(wanted, seconds=PATIENCE_SECONDS)
    seconds = time.monotonic() - began
    used = {name: after - cpu[name] for name, after in _cpu(parts).items()}
    return Cost(
        cpu_by_part={name: MICROSECONDS * each / tasks for name, each in used.items()},
        cpu_of_submitter=MICROSECONDS * own / tasks,
        per_second=tasks / seconds,
        flushes_per_task=(machine.flushes(disk) - flushes) / tasks,
    )


def _cpu(parts: Mapping[str, int]) -> dict[str, float]:
    return {name: machine.cpu_seconds([pid]) for name, pid in parts.items()}

"""How long a task is on its way: from the call that submits it to the worker that has it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.statistic import Rounds, percentile
from bench.systems import System, turn

WARM_UP_TASKS = 50
# Sleeping is exact to a tenth of a millisecond; the rest of the wait spins.
SPIN_SECONDS = 0.0005
LATE_NS = 1_000_000
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Latency:
    """One system's delays in milliseconds, a figure per round."""

    p50: Rounds
    p99: Rounds


def measure(systems: Sequence[System], *, rounds: int) -> dict[str, Latency]:
    """Open loop at a fixed rate, the systems taking turns round by round."""
    for system in systems:
        _send(system, min(WARM_UP_TASKS, system.limits.latency_tasks))
    delays: dict[str, list[list[float]]] = {system.name: [] for system in systems}
    for _ in range(rounds):
        for system in systems:
            delays[system.name].append(_send(system, system.limits.latency_tasks))
    return {
        name: Latency(
            Rounds(tuple(percentile(one, 0.5) for one in each)),
            Rounds(tuple(percentile(one, 0.99) for one in each)),
        )
        for name, each in delays.items()
    }


def _send(system: System, count: int) -> list[float]:
    start = system.ledger.count()
    with turn(system):
        began = time.monotonic_ns()
        for number in range(count):
            due = began + number * 1_000_000_000 // system.limits.per_second
            system.submit(_wait_for(due))
        system.wait_done(start + count, seconds=PATIENCE_SECONDS)
    return system.ledger.delays_ms(start)


def _wait_for(due: int) -> int:
    """When the task counts as sent: now, or when it was due if an earlier one held us up."""
    while (left := due - time.monotonic_ns()) > 0:
        time.sleep(max(0.0, left / 1e9 - SPIN_SECONDS))
    now = time.monotonic_ns()
    return due if now - due > LATE_NS else now

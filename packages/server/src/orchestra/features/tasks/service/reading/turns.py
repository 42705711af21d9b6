"""When a slot is free for a place in line: from how long tasks have taken, and what runs now.

All times are seconds, from now. What nobody has measured is None, never a guess.
"""

import heapq
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean

from orchestra.features.tasks.repository.why import Running, Server

# Places in line that get a slot one by one. Beyond, the work is spread over the slots as water
# would be, which is wrong by the time of one task at most.
MAX_PLACED = 500


def estimate(
    agents: Sequence[Server],
    running: Sequence[Running],
    took: Mapping[str, Sequence[float]],
    *,
    queue: str,
    ahead: int,
) -> float | None:
    """When a slot of these agents is free for whoever has so many ahead in the queue.

    `took` says of each queue how long its newest tasks took. `running` may be a part of what runs:
    then it stands for all of it. A slot whose task nothing is known of is not waited for.
    """
    in_use = sum(agent.in_use for agent in agents)
    part = min(1.0, len(running) / in_use) if in_use else 1.0
    free = sum(max(0, agent.slots - agent.in_use) for agent in agents)
    begun, waiting = _sorted_out(agents, running)
    known = [left(task.elapsed, took.get(task.queue, ())) for task in begun]
    slots = [seconds for seconds in known if seconds is not None] + [0.0] * round(free * part)
    before = [_mean(took, task.queue) for task in waiting]
    before += [_mean(took, queue)] * round(ahead * part)
    line = [seconds for seconds in before if seconds is not None]
    return turn(slots, line) if slots and len(line) == len(before) else None


def left(elapsed: float, took: Sequence[float]) -> float | None:
    """How long a task still runs, by how long those of its queue took.

    As long as the mean of those that took longer than it has run so far. If none did, as long again
    as it has run (Lindy's rule).
    """
    longer = [seconds for seconds in took if seconds > elapsed]
    if not longer:
        return elapsed if took else None
    return fmean(longer) - elapsed


def turn(slots: Sequence[float], line: Sequence[float]) -> float:
    """When whoever is behind the line gets a slot.

    `slots`: when each is free; `line`: how long each of those before takes, in their order.
    """
    free = list(slots)
    heapq.heapify(free)
    for seconds in line[:MAX_PLACED]:
        heapq.heapreplace(free, free[0] + seconds)
    return _level(free, sum(line[MAX_PLACED:]))


def _level(free: Sequence[float], seconds: float) -> float:
    """When so much more work is done if it may be cut as finely as one likes."""
    before, level = 0.0, 0.0
    for count, at in enumerate(sorted(free), start=1):
        if count > 1 and level <= at:
            break
        before += at
        level = (before + seconds) / count
    return level


def _sorted_out(
    agents: Sequence[Server], running: Sequence[Running]
) -> tuple[list[Running], list[Running]]:
    """What has a slot, and what agents with a backlog have beyond theirs: what came last."""
    slots = {agent.id: agent.slots for agent in agents}
    held = Counter[uuid.UUID]()
    begun: list[Running] = []
    waiting: list[Running] = []
    for task in sorted(running, key=lambda task: task.elapsed, reverse=True):
        held[task.agent_id] += 1
        (begun if held[task.agent_id] <= slots[task.agent_id] else waiting).append(task)
    return begun, waiting


def _mean(took: Mapping[str, Sequence[float]], queue: str) -> float | None:
    return fmean(took[queue]) if took.get(queue) else None

"""Brings tasks into line whose time has come, and gives back what was promised and never used."""

from collections.abc import Sequence

from orchestra.features.tasks import events
from orchestra.features.tasks.repository import fairness, limits, turns
from orchestra.features.tasks.repository.fairness import InLine
from orchestra.features.tasks.service.announcing import tell_of_waiting
from orchestra.features.tasks.service.queues.limits import free_orphans
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus

BATCH = 500
TIDY_SECONDS = 5.0
IDLE_DAYS = 1.0


class Delayed:
    """For the worker: what waits for a time, and what is left of what has waited."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus

    async def place_due(self) -> int:
        """One batch of tasks whose time has come; how many there were."""
        async with self._database.transaction() as tx:
            placed = await fairness.place_due(tx, limit=BATCH)
            tx.after_commit(lambda: announce_placed(self._bus, placed))
        return len(placed)

    async def tidy(self) -> float:
        """A step; says in how many seconds to call it again."""
        async with self._database.transaction() as tx:
            changed = await fairness.give_back_unused(tx, limit=BATCH)
        async with self._database.transaction() as tx:
            changed = max(changed, await fairness.forget_served(tx, limit=BATCH))
            changed = max(changed, await turns.forget(tx, limit=BATCH))
            idle = await fairness.forget_idle(tx, days=IDLE_DAYS, limit=BATCH)
            changed = max(changed, idle, await limits.forget_full_tokens(tx, limit=BATCH))
        async with self._database.transaction() as tx:
            freed = await free_orphans(tx, self._bus)
        if freed:
            return 0.1
        return 0.1 if changed == BATCH else TIDY_SECONDS


async def announce_placed(bus: Bus, placed: Sequence[InLine]) -> None:
    """Permits for what has just got in line, and word to the agents that it is for alone."""
    first = {(task.queue, task.priority): task for task in reversed(placed)}
    await bus.publish_soon(
        *(
            events.permit(queue, priority, task.id, task.epoch, 1)
            for (queue, priority), task in first.items()
        )
    )
    await tell_of_waiting(bus, placed)

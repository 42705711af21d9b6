"""Brings tasks into line whose time has come, and gives back what was promised and never used."""

from collections.abc import Sequence

from orchestra.features.tasks import events
from orchestra.features.tasks.repository import fairness, limits
from orchestra.features.tasks.repository.fairness import InLine
from orchestra.features.tasks.service.announcing import tell_of_waiting
from orchestra.features.tasks.service.queues.limits import free_orphans
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus

BATCH = 500
# How late a task may be that became due sooner than anything known at the last look.
LOOK_SECONDS = 0.5
# Something is due, but somebody else has it just now.
LOCKED_SECONDS = 0.05
TIDY_SECONDS = 5.0
IDLE_DAYS = 1.0


class Delayed:
    """Steps for the worker; each says in how many seconds it is to be called again."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus

    async def place_due(self) -> float:
        wait = await fairness.seconds_to_next(self._database)
        if wait is None or wait > 0:
            return LOOK_SECONDS if wait is None else min(LOOK_SECONDS, wait)
        async with self._database.transaction() as tx:
            placed = await fairness.place_due(tx, limit=BATCH)
            tx.after_commit(lambda: announce_placed(self._bus, placed))
        return 0.0 if placed else LOCKED_SECONDS

    async def tidy(self) -> float:
        async with self._database.transaction() as tx:
            changed = await fairness.give_back_unused(tx, limit=BATCH)
        async with self._database.transaction() as tx:
            changed = max(changed, await fairness.forget_served(tx, limit=BATCH))
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

"""Does what is due: takes back what is overdue, wakes what waits, lets delayed tasks into line."""

import asyncio
from collections.abc import Awaitable

from orchestra.features.events import Outbox
from orchestra.features.tasks.repository import timing
from orchestra.features.tasks.service.ends.reconciling import Reconciler
from orchestra.features.tasks.service.orchestration.due import Due
from orchestra.features.tasks.service.queues.delayed import Delayed
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

# How late may be what became due sooner than anything known at the last look.
LOOK_SECONDS = 0.5
# Something is due, but somebody else has it just now.
LOCKED_SECONDS = 0.05


class Timekeeper:
    """A step for the worker, by the database's clock."""

    def __init__(self, database: Database, outbox: Outbox, bus: Bus, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._reconciler = Reconciler(database, outbox, bus, settings)
        self._due = Due(database, outbox, bus)
        self._delayed = Delayed(database, bus)

    async def step(self) -> float:
        """One batch of each whose time has come; says in how many seconds to look again.

        What fails does not keep the others from their time; it is raised after them.
        """
        times = await timing.look(
            self._database,
            margin_seconds=self._settings.lease_seconds,
            cancel_grace_seconds=self._settings.cancel_grace_seconds,
        )
        works = self._works(times)
        if not works:
            known = [each for each in (times.to_waking, times.to_placing) if each is not None]
            return min([LOOK_SECONDS, *known])
        done = await asyncio.gather(*works, return_exceptions=True)
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
        return 0.0 if any(done) else LOCKED_SECONDS

    def _works(self, times: timing.Times) -> list[Awaitable[int]]:
        works: list[Awaitable[int]] = []
        if times.is_overdue:
            works.append(self._reconciler.overdue())
        if times.to_waking is not None and times.to_waking <= 0:
            works.append(self._due.wake())
        if times.to_placing is not None and times.to_placing <= 0:
            works.append(self._delayed.place_due())
        return works

"""Brings tasks back whose time has come, and closes questions that nobody has answered in time."""

from orchestra.features.events import Outbox
from orchestra.features.tasks.repository import waiting
from orchestra.features.tasks.service.orchestration import approvals
from orchestra.features.tasks.service.orchestration.suspending import wake_due
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus

BATCH = 200
LOOK_SECONDS = 0.5
LOCKED_SECONDS = 0.05


class Due:
    """A step for the worker, by the database's clock."""

    def __init__(self, database: Database, outbox: Outbox, bus: Bus) -> None:
        self._database, self._outbox, self._bus = database, outbox, bus

    async def step(self) -> float:
        """One batch of each whose time has come; says in how many seconds to look again."""
        next_one = await waiting.seconds_until_next(self._database)
        if next_one is None or next_one > 0:
            return LOOK_SECONDS if next_one is None else min(LOOK_SECONDS, next_one)
        async with self._database.transaction() as tx:
            woken = await wake_due(tx, self._outbox, self._bus, limit=BATCH)
        async with self._database.transaction() as tx:
            expired = await approvals.expire(tx, self._outbox, self._bus, limit=BATCH)
        # Nothing, though something was due: somebody else has it just now.
        return 0.0 if woken or expired else LOCKED_SECONDS

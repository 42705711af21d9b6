"""Brings tasks back whose time has come, and closes questions that nobody has answered in time."""

from orchestra.features.events import Outbox
from orchestra.features.tasks.repository import waiting
from orchestra.features.tasks.service import approvals
from orchestra.features.tasks.service.suspending import wake_due
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus

BATCH = 200
LOOK_SECONDS = 0.5


class Due:
    """A step for the worker, by the database's clock."""

    def __init__(self, database: Database, outbox: Outbox, bus: Bus) -> None:
        self._database, self._outbox, self._bus = database, outbox, bus

    async def step(self) -> float:
        """One batch of each; says in how many seconds to look again."""
        async with self._database.transaction() as tx:
            woken = await wake_due(tx, self._outbox, self._bus, limit=BATCH)
        async with self._database.transaction() as tx:
            expired = await approvals.expire(tx, self._outbox, self._bus, limit=BATCH)
        if woken or expired:
            return 0.0
        async with self._database.transaction() as tx:
            next_one = await waiting.seconds_until_next(tx)
        return LOOK_SECONDS if next_one is None else min(LOOK_SECONDS, max(0.0, next_one))

"""Brings tasks back whose time has come, and closes questions that nobody has answered in time."""

from orchestra.features.events import Outbox
from orchestra.features.tasks.service.orchestration import approvals
from orchestra.features.tasks.service.orchestration.suspending import wake_due
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus

BATCH = 200


class Due:
    """For the worker, by the database's clock."""

    def __init__(self, database: Database, outbox: Outbox, bus: Bus) -> None:
        self._database, self._outbox, self._bus = database, outbox, bus

    async def wake(self) -> int:
        """One batch of each whose time has come; how many there were."""
        async with self._database.transaction() as tx:
            woken = await wake_due(tx, self._outbox, self._bus, limit=BATCH)
        async with self._database.transaction() as tx:
            return woken + await approvals.expire(tx, self._outbox, self._bus, limit=BATCH)

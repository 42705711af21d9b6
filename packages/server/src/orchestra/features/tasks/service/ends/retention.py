"""Forgets finished tasks by age and number, queue by queue, and idempotency keys by age."""

import structlog

from orchestra.features.tasks.repository import retention
from orchestra.foundation.database import Database
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

# So few that a batch is over in the time of a few claims.
BATCH = 500


class Retention:
    """Steps for the worker; each says whether there may be more to do."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def forget_tasks(self) -> bool:
        """One batch of each queue that has more than it keeps."""
        settings = self._settings
        count = settings.keep_tasks_per_queue or None
        async with self._database.transaction() as tx:
            queues = await retention.overfull(tx, days=settings.keep_task_days, count=count)
        is_more = False
        for keeping in queues:
            async with self._database.transaction() as tx:
                gone = await retention.forget(tx, keeping, limit=BATCH)
            if gone:
                log.info("forgotten", queue=keeping.queue, tasks=gone)
            is_more = is_more or gone == BATCH
        return is_more

    async def release_keys(self) -> bool:
        """One batch of keys that have stood for their time."""
        async with self._database.transaction() as tx:
            hours = self._settings.idempotency_hours
            released = await retention.release_keys(tx, hours=hours, limit=BATCH)
        return released == BATCH

"""Background work of blobs: sweeping away what is broken off and what nothing refers to."""

from collections.abc import Awaitable, Callable

from orchestra.features.blobs import repository
from orchestra.foundation.database import Database
from orchestra.foundation.settings import Settings

Step = Callable[[], Awaitable[float]]

SWEEP_SECONDS = 300.0
# Between two batches, in which others have the disk.
PAUSE_SECONDS = 0.2
# An upload that has said nothing for so long is broken off.
BROKEN_OFF_SECONDS = 3_600.0
# Each has up to a hundred chunks.
BATCH = 10


def sweep(database: Database, settings: Settings) -> Step:
    """A step for `forever`. Run by one worker at a time."""

    async def step() -> float:
        async with database.transaction() as tx:
            broken = await repository.sweep_uploads(tx, seconds=BROKEN_OFF_SECONDS, limit=BATCH)
        async with database.transaction() as tx:
            hours = settings.keep_unused_blob_hours
            unused = await repository.sweep_unused(tx, hours=hours, limit=BATCH)
        return PAUSE_SECONDS if BATCH in (broken, unused) else SWEEP_SECONDS

    return step

"""Background work of blobs: sweeping away what is broken off and what nothing refers to."""

from collections.abc import Awaitable, Callable

import structlog

from orchestra.features.blobs.repository import removing as repository
from orchestra.features.blobs.service import stores
from orchestra.foundation.database import Database
from orchestra.foundation.object_places import ObjectStoreFailed, Place
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

Step = Callable[[], Awaitable[float]]

SWEEP_SECONDS = 300.0
# Between two batches, in which others have the disk.
PAUSE_SECONDS = 0.2
# An upload that has said nothing for so long is broken off.
BROKEN_OFF_SECONDS = 3_600.0
# Each has up to a hundred chunks.
BATCH = 10
OBJECTS = 100
# Between two attempts to remove an object.
AGAIN_SECONDS = 300.0


def sweep(database: Database, settings: Settings) -> Step:
    """A step for `forever`. Run by one worker at a time."""

    async def step() -> float:
        async with database.transaction() as tx:
            broken = await repository.sweep_uploads(tx, seconds=BROKEN_OFF_SECONDS, limit=BATCH)
        async with database.transaction() as tx:
            hours = settings.keep_unused_blob_hours
            unused = await repository.sweep_unused(tx, hours=hours, limit=BATCH)
        found = await _remove_objects(database, settings)
        is_more = BATCH in (broken, unused) or found == OBJECTS
        return PAUSE_SECONDS if is_more else SWEEP_SECONDS

    return step


async def _remove_objects(database: Database, settings: Settings) -> int:
    """Removes what was left outside the database, without a transaction meanwhile; how many.

    A bucket that fails once is left alone for a while.
    """
    async with database.transaction() as tx:
        places = await repository.garbage(tx, limit=OBJECTS)
    failed: set[str] = set()
    for place in places:
        if place.bucket not in failed and not await _is_removed(settings, place):
            failed.add(place.bucket)
        async with database.transaction() as tx:
            if place.bucket in failed:
                await repository.put_off(tx, place, seconds=AGAIN_SECONDS)
            else:
                await repository.removed(tx, place)
    return len(places)


async def _is_removed(settings: Settings, place: Place) -> bool:
    try:
        await stores.objects(settings).delete(place)
    except ObjectStoreFailed as error:
        log.warning("an object stays for now", place=place, error=error.message, said=error.said)
        return False
    return True

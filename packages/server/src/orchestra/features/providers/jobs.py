"""Background work of providers: forgetting calls that were made long ago."""

from collections.abc import Awaitable, Callable

from orchestra.features.providers import repository
from orchestra.foundation.database import Database
from orchestra.foundation.settings import Settings

Step = Callable[[], Awaitable[float]]

PURGE_SECONDS = 600.0
BATCH = 500
PAUSE_SECONDS = 0.2


def purge(database: Database, settings: Settings) -> Step:
    """A step for `forever`: deletes a batch of old calls. Run by one worker at a time."""

    async def step() -> float:
        async with database.transaction() as tx:
            gone = await repository.purge_calls(tx, days=settings.keep_model_call_days, limit=BATCH)
        return PAUSE_SECONDS if gone == BATCH else PURGE_SECONDS

    return step

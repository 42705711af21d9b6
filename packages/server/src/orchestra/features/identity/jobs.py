"""Identity's background work: forgetting what has ended."""

from datetime import timedelta

from orchestra.features.identity import repository
from orchestra.foundation import clock
from orchestra.foundation.database import Database

# Long enough to answer "was that me?" from the list of ended logins in the database.
KEEP_ENDED = timedelta(days=30)
KEEP_ATTEMPTS = timedelta(days=1)
EVERY_SECONDS = 3_600.0


async def purge(database: Database) -> float:
    """Deletes ended logins, dead links and old attempts; returns when it is due again."""
    now = clock.now()
    async with database.transaction() as tx:
        await repository.purge(
            tx, ended_before=now - KEEP_ENDED, attempts_before=now - KEEP_ATTEMPTS
        )
    return EVERY_SECONDS

"""Background work: the outbox relay, and forgetting old subscriptions."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from orchestra.features.events import repository
from orchestra.features.events.service.outbox import Outbox
from orchestra.foundation import clock
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus

RELAY_SECONDS = 1.0
# While NATS is away there is nothing to send to.
AWAY_SECONDS = 2.0
# A page that is still used subscribes again.
KEEP_SUBSCRIPTIONS = timedelta(days=90)
PURGE_SECONDS = 3_600.0


def relay(outbox: Outbox, database: Database, bus: Bus) -> Callable[[], Awaitable[float]]:
    """A step for `forever`: sends one batch of what was left behind."""

    async def step() -> float:
        if not bus.is_connected:
            return AWAY_SECONDS
        sent = await outbox.relay(database)
        return 0.0 if sent else RELAY_SECONDS

    return step


def purge(database: Database) -> Callable[[], Awaitable[float]]:
    """A step for `forever`: forgets subscriptions that nobody has renewed for a long time."""

    async def step() -> float:
        async with database.transaction() as tx:
            await repository.purge_subscriptions(tx, before=clock.now() - KEEP_SUBSCRIPTIONS)
        return PURGE_SECONDS

    return step

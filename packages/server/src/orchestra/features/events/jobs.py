"""Background work: the outbox relay."""

from collections.abc import Awaitable, Callable

from orchestra.features.events.service.outbox import Outbox
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus

RELAY_SECONDS = 1.0
# While NATS is away there is nothing to send to.
AWAY_SECONDS = 2.0


def relay(outbox: Outbox, database: Database, bus: Bus) -> Callable[[], Awaitable[float]]:
    """A step for `forever`: sends one batch of what was left behind."""

    async def step() -> float:
        if not bus.is_connected:
            return AWAY_SECONDS
        sent = await outbox.relay(database)
        return 0.0 if sent else RELAY_SECONDS

    return step

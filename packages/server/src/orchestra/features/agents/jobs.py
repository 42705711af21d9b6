"""Background work: agents whose control plane was killed are marked as gone."""

from collections.abc import Awaitable, Callable

import structlog

from orchestra.features.agents import events, repository
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus

log = structlog.get_logger(__name__)

STEP_SECONDS = 5.0
# A living control plane writes that it lives every five seconds.
SILENT_SECONDS = 25.0
BATCH = 500


def abandon_silent(database: Database, bus: Bus) -> Callable[[], Awaitable[float]]:
    """A step for `forever`, run by one worker at a time."""

    async def step() -> float:
        async with database.transaction() as tx:
            gone = await repository.abandon_silent(tx, after_seconds=SILENT_SECONDS, limit=BATCH)
            agents = [await repository.get(tx, agent_id) for agent_id in gone]
        await bus.publish_soon(*(events.status_changed(agent) for agent in agents if agent))
        if gone:
            log.warning("agents without a control plane", count=len(gone))
        return STEP_SECONDS

    return step

"""Schedules on a real instance: REST, and workers that fire what is due."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from orchestra.features.events import Outbox
from orchestra.features.schedules import rest
from orchestra.features.schedules.service.firing import Firing
from orchestra.features.tasks import Submitter


@pytest.fixture
async def http(world: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with world.door(rest.routes)() as client:
        yield client


class Clockwork:
    """Fires schedules, and puts the database's row where time would have put it."""

    def __init__(self, world: Any, outbox: Outbox) -> None:
        self._world, self._outbox = world, outbox

    def firing(self, submitter: Submitter | None = None, **changes: Any) -> Firing:
        world = self._world
        settings = world.settings.with_values("test", **changes)
        chosen = submitter or world.submitter
        return Firing(world.database, world.bus, self._outbox, chosen, settings)

    async def fire(self, **changes: Any) -> int:
        """Until nothing is due any more; how many looks that took."""
        firing, looks = self.firing(**changes), 0
        while await firing.fire_next():
            looks += 1
        return looks

    async def late(self, schedule_id: str, by: timedelta) -> datetime:
        """As if the schedule's next time had been so long ago, and nobody had looked since."""
        async with self._world.database.transaction() as tx:
            return await tx.fetch_value(
                """
                UPDATE schedules SET next_at = date_trunc('minute', now()) - $2::interval,
                    at = at - (at - date_trunc('minute', now()) + $2::interval), wake_at = now()
                WHERE id = $1 RETURNING next_at
                """,
                schedule_id,
                by,
            )

    async def look_again(self) -> None:
        """As if the pause before the next look were over."""
        async with self._world.database.transaction() as tx:
            await tx.execute("UPDATE schedules SET wake_at = now() WHERE pending <> '{}'")

    async def tasks(self) -> list[Any]:
        async with self._world.database.transaction() as tx:
            return await tx.fetch("SELECT id, state, idempotency_key FROM tasks ORDER BY id")


@pytest.fixture
async def clockwork(world: Any) -> AsyncIterator[Clockwork]:
    outbox = Outbox(world.bus, world.database)
    yield Clockwork(world, outbox)
    await outbox.close()

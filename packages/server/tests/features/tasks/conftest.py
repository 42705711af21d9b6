"""REST doors of tasks, as whoever a test wants to be."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, cast

import httpx
import pytest
from orchestra.features.events import Feeds, Outbox
from orchestra.features.identity import Identity
from orchestra.features.tasks import rest, snapshot_source
from orchestra.foundation.web import create_app


@pytest.fixture
async def doors(world: Any, anyio_backend: str) -> AsyncIterator[Callable[[str], Any]]:
    """Makes a client that has the given key."""
    feeds = Feeds(world.bus, world.settings, task_snapshots=snapshot_source(world.database))
    outbox = Outbox(world.bus, world.database)
    app = create_app(
        rest.routes,
        settings=world.settings,
        authenticator=Identity(world.database, world.settings),
        dependencies={
            "database": world.database,
            "bus": world.bus,
            "settings": world.settings,
            "submitter": world.submitter,
            "outbox": outbox,
            "feeds": feeds,
        },
    )
    async with AsyncExitStack() as stack:

        def client(key: str) -> httpx.AsyncClient:
            return httpx.AsyncClient(
                transport=httpx.ASGITransport(app=cast("Any", app)),
                base_url="http://localhost",
                headers={"authorization": f"Bearer {key}"},
            )

        async def make(key: str) -> httpx.AsyncClient:
            return await stack.enter_async_context(client(key))

        yield make
    await feeds.close(patience_seconds=0)
    await outbox.close()

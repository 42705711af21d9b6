"""REST doors of tasks, as whoever a test wants to be."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from orchestra.features.events import Feeds, Outbox
from orchestra.features.tasks import rest, snapshot_source


@pytest.fixture
async def doors(world: Any, anyio_backend: str) -> AsyncIterator[Callable[[str], Any]]:
    """Makes a client that has the given key."""
    feeds = Feeds(world.bus, world.settings, task_snapshots=snapshot_source(world.database))
    outbox = Outbox(world.bus, world.database)
    client = world.door(rest.routes, feeds=feeds, outbox=outbox)
    async with AsyncExitStack() as stack:

        async def make(key: str) -> httpx.AsyncClient:
            return await stack.enter_async_context(client(key))

        yield make
    await feeds.close(patience_seconds=0)
    await outbox.close()


@pytest.fixture
async def http(world: Any, doors: Callable[[str], Any]) -> httpx.AsyncClient:
    """A client with this machine's key."""
    client: httpx.AsyncClient = await doors(world.key)
    return client

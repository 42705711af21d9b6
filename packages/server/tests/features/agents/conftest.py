"""The REST door of agents, for this machine's key."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from orchestra.features.agents import rest


@pytest.fixture
async def http(world: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with world.door(rest.routes)() as client:
        yield client

"""The REST door of agents, for this machine's key."""

from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest
from orchestra.features.agents import key_check
from orchestra.features.agents import rest as agents_rest
from orchestra.features.identity import Identity
from orchestra.foundation.web import create_app


@pytest.fixture
async def http(world: Any) -> AsyncIterator[httpx.AsyncClient]:
    identity = Identity(world.database, world.settings, check_agent_key=key_check(world.database))
    app = create_app(
        agents_rest.routes,
        settings=world.settings,
        authenticator=identity,
        dependencies={
            "database": world.database,
            "settings": world.settings,
            "bus": world.bus,
        },
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=cast("Any", app)),
        base_url="http://localhost",
        headers={"authorization": f"Bearer {world.key}"},
    ) as client:
        yield client

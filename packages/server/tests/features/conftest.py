"""What tests of tasks and agents are given: an instance without doors, and agents to connect."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from orchestra.features.identity import Identity, ensure_local_key
from orchestra.foundation.auth import Credential
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

from .wire_agent import WireAgent
from .world import RunningPlane, World


@pytest.fixture
def settings(tmp_path: Path, database_url: str, nats_url: str) -> Settings:
    return Settings(
        data_dir=tmp_path,
        database_url=database_url,
        nats_url=nats_url,
        nats_reconnect_seconds=0.1,
        control_plane_listen="127.0.0.1:0",
        heartbeat_seconds=0.5,
        drain_seconds=1.0,
    )


@pytest.fixture
def wire(world: World) -> Callable[..., WireAgent]:
    """Makes agents of bare protobuf with this machine's key."""

    def make(plane: RunningPlane, **more: Any) -> WireAgent:
        more.setdefault("key", world.key)
        return WireAgent(plane.address, **more)

    return make


@pytest.fixture
async def world(database: Database, settings: Settings, anyio_backend: str) -> AsyncIterator[World]:
    key = (await ensure_local_key(database, settings)).read_text().strip()
    bus = await Bus.connect(settings, name="test")
    world = World(database, settings, bus, key)
    world.actor = await Identity(database, settings).authenticate(Credential(bearer=key))
    async with world.stack:
        yield world
        await world.guard.stop()
    await world.submitter.close()
    await bus.close()

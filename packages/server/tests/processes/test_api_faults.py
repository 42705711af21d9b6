"""The api while an engine is away: it says so, acknowledges nothing, and comes back by itself."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from orchestra import migrations
from orchestra.engines.testing import RunningPostgres, start_postgres
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings
from orchestra.processes.api import compose

from .conftest import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[RunningPostgres]:
    # Durable, because it is killed: what it acknowledged has to be there again.
    with start_postgres(tmp_path, durable=True) as server:
        yield server


async def is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/ready")).status_code == 200


async def test_without_postgresql_requests_are_refused_for_a_while_and_then_work_again(
    own_postgres: RunningPostgres, nats_url: str, tmp_path: Path
) -> None:
    url = await asyncio.to_thread(own_postgres.create_database, "own")
    await asyncio.to_thread(asyncio.run, migrations.migrate(url))
    (tmp_path / "keys").mkdir()
    settings = Settings(data_dir=tmp_path, database_url=url, nats_url=nats_url)
    database = await Database.connect(url, pool_size=4)
    bus = await Bus.connect(settings, name="test")
    api = await compose(settings, database, bus)
    transport = httpx.ASGITransport(app=api.application)  # pyright: ignore[reportArgumentType]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        login = {"username": "nobody", "password": "wrong password"}
        assert (await client.post("/api/auth/login", json=login)).status_code == 401
        own_postgres.process.kill()
        refused = await client.post("/api/auth/login", json=login)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["parts"]["nats"]) == (503, "ok")
        assert (await client.get("/health")).status_code == 200

        own_postgres.process.start()
        assert await eventually(lambda: is_ready(client))
        assert (await client.post("/api/auth/login", json=login)).status_code == 401
    await api.stop()
    await bus.close()
    await database.close()

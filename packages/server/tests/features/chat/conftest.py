"""The whole api on real engines, people in it, and a hand that ends tasks as an agent would."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from orchestra.features.chat import jobs
from orchestra.features.identity import first_admin_link
from orchestra.features.tasks import FinishDelivery
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings
from orchestra.processes.api import Api, compose

PASSWORD = "correct horse battery"
SignIn = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(tmp_path: Path, database_url: str, nats_url: str) -> Settings:
    (tmp_path / "keys").mkdir()
    return Settings(
        data_dir=tmp_path,
        database_url=database_url,
        nats_url=nats_url,
        model_url="http://127.0.0.1:1/v1",
        model_key="unused",
    )


@pytest.fixture
async def database(settings: Settings, anyio_backend: str) -> AsyncIterator[Database]:
    database = await Database.connect(settings.database_url, pool_size=6)
    yield database
    await database.close()


@pytest.fixture
async def bus(settings: Settings, anyio_backend: str) -> AsyncIterator[Bus]:
    bus = await Bus.connect(settings, name="test")
    yield bus
    await bus.close()


@pytest.fixture
async def api(settings: Settings, database: Database, bus: Bus) -> AsyncIterator[Api]:
    api = await compose(settings, database, bus)
    await api.start(bus)
    yield api
    await api.stop()


@pytest.fixture
async def sign_in(api: Api, database: Database, settings: Settings) -> AsyncIterator[SignIn]:
    """Makes a person and a browser that is signed in; the first administrator is `root`."""
    opened: list[httpx.AsyncClient] = []

    def browser() -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=api.application)  # pyright: ignore[reportArgumentType]
        opened.append(httpx.AsyncClient(transport=transport, base_url="https://localhost"))
        return opened[-1]

    root = browser()
    token = await first_admin_link(database, settings)
    body = {"token": token, "username": "root", "password": PASSWORD}
    assert (await root.post("/api/auth/setup", json=body)).status_code == 201

    async def make(username: str = "ann", role: str = "member") -> httpx.AsyncClient:
        if username == "root":
            return root
        account = {"username": username, "password": PASSWORD, "role": role}
        assert (await root.post("/api/users", json=account)).status_code == 201
        client = browser()
        login = {"username": username, "password": PASSWORD}
        assert (await client.post("/api/auth/login", json=login)).status_code == 200
        return client

    yield make
    for client in opened:
        await client.aclose()


@dataclass(frozen=True)
class Hand:
    """Writes into the tasks table what a control plane commits for an agent."""

    database: Database
    deliver: FinishDelivery

    async def write(self, task_id: str, text: str) -> None:
        await self._update(task_id, "state = 'running', snapshot_text = $2", text)

    async def succeed(self, task_id: str, text: str) -> None:
        result = {"text": text, "finish_reason": "stop", "usage": {"completion_tokens": 2}}
        await self._update(task_id, f"state = 'succeeded', result = $2, {_OVER}", result)

    async def fail(self, task_id: str, text: str) -> None:
        error = 'error = \'{"code": "agent_failed", "message": "It broke."}\''
        await self._update(task_id, f"state = 'failed', snapshot_text = $2, {error}, {_OVER}", text)

    async def input_of(self, task_id: str) -> Any:
        async with self.database.transaction() as tx:
            return await tx.fetch_value("SELECT input FROM tasks WHERE id = $1", uuid.UUID(task_id))

    async def state_of(self, task_id: str) -> str:
        async with self.database.transaction() as tx:
            return await tx.fetch_value("SELECT state FROM tasks WHERE id = $1", uuid.UUID(task_id))

    async def _update(self, task_id: str, changes: str, value: Any) -> None:
        async with self.database.transaction() as tx:
            sql = f"UPDATE tasks SET {changes}, snapshot_epoch = epoch WHERE id = $1"  # noqa: S608
            assert await tx.execute(sql, uuid.UUID(task_id), value) == 1


_OVER = "finished_at = now(), finish_pending = wants_finish"


@pytest.fixture
def hand(api: Api, database: Database) -> Hand:
    return Hand(database, FinishDelivery(database, [jobs.on_task_finished(api.outbox)]))

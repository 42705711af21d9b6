"""An api with providers on a real database, served by Granian; fake providers on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI
from orchestra.engines.process import free_port
from orchestra.features.identity import Identity, ensure_local_key
from orchestra.features.identity import rest as identity_rest
from orchestra.features.providers import Providers
from orchestra.features.providers import rest as providers_rest
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.database import Database, Row
from orchestra.foundation.settings import Settings
from orchestra.foundation.web import create_app
from orchestra.processes import serving

from .fakes import FakeProvider

AddProvider = Callable[..., Awaitable[dict[str, Any]]]
Calls = Callable[[], Awaitable[list[Row]]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, egress_allowed_hosts=("127.0.0.1",))


@pytest.fixture
async def providers(database: Database, settings: Settings) -> AsyncIterator[Providers]:
    opened = await Providers.open(database, settings)
    yield opened
    await opened.close()


@pytest.fixture
def identity(database: Database, settings: Settings) -> Identity:
    async def every_run_is_current(_task: object, _epoch: int) -> bool:
        return True

    return Identity(database, settings, every_run_is_current)


@pytest.fixture
async def base_url(
    database: Database, settings: Settings, providers: Providers, identity: Identity
) -> AsyncIterator[str]:
    """The address of the served api."""
    app = create_app(
        [*providers_rest.routes, *identity_rest.routes],
        settings=settings,
        authenticator=identity,
        dependencies={
            "database": database,
            "settings": settings,
            "identity": identity,
            "providers": providers,
        },
    )
    port, stopping = free_port(), asyncio.Event()

    async def nothing() -> None:
        return None

    async with Guard() as guard:
        serve = serving.serve(app, f"127.0.0.1:{port}", stopping=stopping, before_stop=nothing)
        server = guard.spawn("api", serve)
        await _listening(port)
        yield f"http://127.0.0.1:{port}"
        stopping.set()
        await server


@pytest.fixture
async def key(database: Database, settings: Settings) -> str:
    path = await ensure_local_key(database, settings)
    return path.read_text().strip()


@pytest.fixture
async def http(base_url: str, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """An administrator."""
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=10) as client:
        yield client


@pytest.fixture
async def openai(base_url: str, key: str) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's own client, unchanged."""
    async with AsyncOpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0) as client:
        yield client


@pytest.fixture
async def fake(anyio_backend: str) -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as server:
        yield server


@pytest.fixture
def add(http: httpx.AsyncClient, fake: FakeProvider) -> AddProvider:
    """Adds the fake as a provider `p`."""

    async def make(**given: Any) -> dict[str, Any]:
        body = {"name": "p", "kind": "openai", "base_url": fake.url, "api_key": "sk-0123456789"}
        answer = await http.post("/api/providers", json={**body, **given})
        assert answer.status_code == 201, answer.text
        return answer.json()

    return make


@pytest.fixture
def calls(database: Database, providers: Providers) -> Calls:
    """What is written down of model calls, oldest first."""

    async def read() -> list[Row]:
        await providers.calls.flush()
        async with database.transaction() as tx:
            return await tx.fetch("SELECT * FROM model_calls ORDER BY id")

    return read


async def _listening(port: int) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            await writer.wait_closed()
            return

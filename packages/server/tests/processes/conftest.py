"""The whole api on real engines, listening as it does in production."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import msgspec
import pytest
from orchestra.foundation import ids
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings
from orchestra.processes import serving
from orchestra.processes.api import Api, compose
from people import SignIn, first_administrator, signing_in


@pytest.fixture
def settings(api_settings: Settings) -> Settings:
    return replace(
        api_settings,
        api_listen=f"unix:/tmp/orchestra-test-{ids.short_id()}.sock",
        worker_listen=f"unix:/tmp/orchestra-test-{ids.short_id()}.sock",
        feed_max_per_caller=3,
    )


@dataclass(frozen=True)
class Server:
    """An api that listens on a Unix socket."""

    api: Api
    settings: Settings
    stopping: asyncio.Event

    def client(self, **more: Any) -> httpx.AsyncClient:
        path = self.settings.api_listen.removeprefix("unix:")
        transport = httpx.AsyncHTTPTransport(uds=path)
        return httpx.AsyncClient(
            transport=transport, base_url="http://localhost", timeout=10, **more
        )


@pytest.fixture
async def server(settings: Settings, database: Database, bus: Bus) -> AsyncIterator[Server]:
    api = await compose(settings, database, bus)
    await api.start(bus)
    stopping = asyncio.Event()
    async with Guard() as guard:
        serve = serving.serve(
            api.application, settings.api_listen, stopping=stopping, before_stop=api.stop
        )
        serving_task = guard.spawn("serve", serve)
        server = Server(api, settings, stopping)
        await _listening(server)
        yield server
        stopping.set()
        await asyncio.wait_for(serving_task, timeout=10)


async def _listening(server: Server) -> None:
    async with asyncio.timeout(10), server.client() as client:
        while True:
            try:
                await client.get("/health")
            except httpx.ConnectError:
                await asyncio.sleep(0.01)
            else:
                return


@pytest.fixture
async def sign_in(server: Server, database: Database, settings: Settings) -> AsyncIterator[SignIn]:
    """The cookie is secure, so it is sent by hand over this socket."""
    async with AsyncExitStack() as opened:

        async def enter(path: str, body: dict[str, str | None]) -> httpx.AsyncClient:
            client = await opened.enter_async_context(server.client())
            answer = await client.post(path, json=body)
            assert answer.is_success, answer.text
            cookie = answer.headers["set-cookie"].partition(";")[0]
            client.cookies.clear()
            client.headers["cookie"] = cookie
            return client

        yield signing_in(enter, await first_administrator(enter, database, settings))


class Feed:
    """Server-sent events of one response."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """The next event; `data` is decoded. Comments are events of type `comment`."""
        fields: dict[str, Any] = {}
        async with asyncio.timeout(15):
            async for line in self._lines:
                if not line and fields:
                    return fields
                if line.startswith(":"):
                    fields["event"] = "comment"
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = msgspec.json.decode(value) if name == "data" else value
        raise EOFError

    async def rest(self) -> list[dict[str, Any]]:
        """Everything up to the end of the stream."""
        events: list[dict[str, Any]] = []
        try:
            while True:
                events.append(await self.next())
        except EOFError:
            return events


@asynccontextmanager
async def follow(client: httpx.AsyncClient, url: str, **headers: str) -> AsyncGenerator[Feed]:
    async with client.stream("GET", url, headers=headers) as response:
        yield Feed(response)


async def eventually(condition: Callable[[], Awaitable[bool]], *, tries: int = 200) -> bool:
    """Asks until it is so, for some seconds; says whether it came to be."""
    for _ in range(tries):
        if await condition():
            return True
        await asyncio.sleep(0.02)
    return False

"""An api with identity's routes on a real database, and people in it."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from orchestra.features.audit import rest as audit_rest
from orchestra.features.identity import Identity, first_admin_link
from orchestra.features.identity import rest as identity_rest
from orchestra.foundation import clock
from orchestra.foundation.database import Database
from orchestra.foundation.settings import Settings
from orchestra.foundation.web import create_app

PASSWORD = "correct horse battery"
Browser = Callable[[], httpx.AsyncClient]
Later = Callable[[timedelta], None]
SignIn = Callable[..., Awaitable[httpx.AsyncClient]]


class Runs:
    """Stands for tasks: which leases are current."""

    def __init__(self) -> None:
        self.current: set[tuple[uuid.UUID, int]] = set()

    async def check(self, task_id: uuid.UUID, epoch: int) -> bool:
        return (task_id, epoch) in self.current


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
async def database(database_url: str, anyio_backend: str) -> AsyncIterator[Database]:
    database = await Database.connect(database_url, pool_size=6)
    yield database
    await database.close()


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def identity(database: Database, settings: Settings, runs: Runs) -> Identity:
    return Identity(database, settings, runs.check)


@pytest.fixture
async def browser(
    database: Database, settings: Settings, identity: Identity
) -> AsyncIterator[Browser]:
    """Makes browsers, each with its own cookies."""
    app = create_app(
        [*identity_rest.routes, *audit_rest.routes],
        settings=settings,
        authenticator=identity,
        dependencies={"database": database, "settings": settings, "identity": identity},
    )
    opened: list[httpx.AsyncClient] = []

    def make() -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app)  # pyright: ignore[reportArgumentType] - Litestar's own ASGI types
        opened.append(httpx.AsyncClient(transport=transport, base_url="https://localhost"))
        return opened[-1]

    yield make
    for client in opened:
        await client.aclose()


@pytest.fixture
async def admin(browser: Browser, database: Database, settings: Settings) -> httpx.AsyncClient:
    """The browser of the first administrator, `root`."""
    token = await first_admin_link(database, settings)
    client = browser()
    body = {"token": token, "username": "root", "password": PASSWORD}
    answer = await client.post("/api/auth/setup", json=body)
    assert answer.status_code == 201, answer.text
    return client


@pytest.fixture
def sign_in(browser: Browser, admin: httpx.AsyncClient) -> SignIn:
    """Makes an account and signs it in."""

    async def make(username: str = "ann", role: str = "member") -> httpx.AsyncClient:
        account = {"username": username, "password": PASSWORD, "role": role}
        answer = await admin.post("/api/users", json=account)
        assert answer.status_code == 201, answer.text
        client = browser()
        answer = await client.post(
            "/api/auth/login", json={"username": username, "password": PASSWORD}
        )
        assert answer.status_code == 200, answer.text
        return client

    return make


@pytest.fixture
def later() -> Iterator[Later]:
    """Stops the clock, so much later than now, until the end of the test."""
    real = clock.use(clock.now)
    clock.use(real)

    def stop_at(by: timedelta) -> None:
        moment = real() + by
        clock.use(lambda: moment)

    yield stop_at
    clock.use(real)

"""An api with identity's routes on a real database, and people in it."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from orchestra.features.audit import rest as audit_rest
from orchestra.features.identity import Identity
from orchestra.features.identity import rest as identity_rest
from orchestra.foundation import clock
from orchestra.foundation.database import Database
from orchestra.foundation.settings import Settings
from orchestra.foundation.web import create_app
from people import Browser, SignIn, browsers, entering, first_administrator, signing_in

Later = Callable[[timedelta], None]


class Runs:
    """Stands for tasks: which leases are current."""

    def __init__(self) -> None:
        self.current: set[tuple[uuid.UUID, int]] = set()

    async def check(self, task_id: uuid.UUID, epoch: int) -> bool:
        return (task_id, epoch) in self.current


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


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
    async with browsers(app) as make:
        yield make


@pytest.fixture
async def admin(browser: Browser, database: Database, settings: Settings) -> httpx.AsyncClient:
    """The browser of the first administrator, `root`."""
    return await first_administrator(entering(browser), database, settings)


@pytest.fixture
def sign_in(browser: Browser, admin: httpx.AsyncClient) -> SignIn:
    return signing_in(entering(browser), admin)


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

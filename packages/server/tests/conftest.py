"""What every server test may ask for: real engines, and a fresh database with the real schema.

The engines start once per pytest process, and only if a test asks; under xdist each worker has its
own, so no worker waits for another.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from orchestra import migrations
from orchestra.engines.testing import (
    RunningModel,
    RunningNats,
    RunningPostgres,
    start_model,
    start_nats,
    start_postgres,
)
from orchestra.foundation import ids

TEMPLATE = "migrated"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """What we run on; tests marked `anyio` would otherwise run on every loop that is installed."""
    return "asyncio"


@pytest.fixture(scope="session")
def engines_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="session")
def postgres(engines_directory: Path) -> Iterator[RunningPostgres]:
    """The PostgreSQL server of this run, with a migrated database to copy."""
    with start_postgres(engines_directory) as server:
        asyncio.run(migrations.migrate(server.create_database(TEMPLATE)))
        yield server


@pytest.fixture
def database_url(postgres: RunningPostgres) -> Iterator[str]:
    """The URL of a database that nobody has used, with the newest schema."""
    name = f"test_{ids.short_id()}"
    yield postgres.create_database(name, template=TEMPLATE)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def nats(engines_directory: Path) -> Iterator[RunningNats]:
    """The NATS server of this run; a test that kills it or its store starts one of its own."""
    with start_nats(engines_directory) as server:
        yield server


@pytest.fixture
def nats_url(nats: RunningNats) -> str:
    """Streams are shared by the tests of a run: delete what would disturb others."""
    return nats.url


@pytest.fixture(scope="session")
def model(engines_directory: Path) -> Iterator[RunningModel]:
    """The local model server of this run: `.url` (…/v1) and `.key`."""
    with start_model(engines_directory) as server:
        yield server

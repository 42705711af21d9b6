"""What every server test may ask for: real engines, and a fresh database with the real schema.

The engines start once per pytest process, and only if a test asks; under xdist each worker has its
own, so no worker waits for another.
"""

import asyncio
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest
from orchestra import migrations
from orchestra.engines import postgres as postgres_engine
from orchestra.engines.testing import (
    RunningModel,
    RunningNats,
    RunningPostgres,
    start_model,
    start_nats,
    start_postgres,
)
from orchestra.foundation import clock, ids
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings
from s3_server import RunningS3, start_s3

TEMPLATE = "migrated"
KEPT = Path(sys.prefix) / "test-postgres"
# Younger ones may be in the making, or in use, by another run.
FORGOTTEN_SECONDS = 3600
# A directory in memory, where a test's database is there ten times sooner than on a disk.
MEMORY = Path("/dev/shm")  # noqa: S108 - the directory in it is made by mkdtemp
MEMORY_BYTES = 4 * 1024**3


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """What we run on; tests marked `anyio` would otherwise run on every loop that is installed."""
    return "asyncio"


@pytest.fixture(scope="session")
def engines_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of the engines that tests share: in memory if there is plenty, otherwise on the disk."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_BYTES:
        yield tmp_path_factory.mktemp("engines")
        return
    _remove_old(MEMORY.glob("orchestra-test-*"))
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="orchestra-test-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def postgres(engines_directory: Path) -> Iterator[RunningPostgres]:
    """The PostgreSQL server of this run, with a migrated database to copy."""
    kept = KEPT / _fingerprint()
    if kept.exists():
        _copy(kept, engines_directory / "postgres")
    else:
        _make_template(engines_directory)
        _keep(engines_directory / "postgres", kept)
    with start_postgres(engines_directory) as server:
        yield server


def _make_template(directory: Path) -> None:
    with start_postgres(directory) as server:
        asyncio.run(migrations.migrate(server.create_database(TEMPLATE)))


def _keep(made: Path, kept: Path) -> None:
    """For the next runs, whose start it shortens from four seconds to half of one."""
    KEPT.mkdir(exist_ok=True)
    _remove_old(KEPT.iterdir())
    fresh = kept.with_name(ids.short_id())
    _copy(made, fresh)
    try:
        fresh.rename(kept)
    except OSError:  # another worker was faster
        shutil.rmtree(fresh)


def _remove_old(directories: Iterable[Path]) -> None:
    """What runs that were killed have left, or runs with another schema."""
    for old in directories:
        if clock.now().timestamp() - old.stat().st_mtime > FORGOTTEN_SECONDS:
            shutil.rmtree(old, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """With owners and modes, about which PostgreSQL is particular."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True, timeout=15)


def _fingerprint() -> str:
    """Changes with the schema, with PostgreSQL, and with how its directory is made."""
    made_by = [*migrations.VERSIONS.glob("*.py"), Path(postgres_engine.__file__)]
    text = b"".join(path.read_bytes() for path in sorted(made_by))
    return hashlib.sha256(text).hexdigest()[:16]


@pytest.fixture
def database_url(postgres: RunningPostgres) -> Iterator[str]:
    """The URL of a database that nobody has used, with the newest schema."""
    name = f"test_{ids.short_id()}"
    yield postgres.create_database(name, template=TEMPLATE)
    postgres.drop_database(name)


@pytest.fixture
async def database(database_url: str, anyio_backend: str) -> AsyncIterator[Database]:
    database = await Database.connect(database_url, pool_size=6)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def nats(engines_directory: Path) -> Iterator[RunningNats]:
    """The NATS server of this run; a test that kills it or its store starts one of its own."""
    with start_nats(engines_directory) as server:
        yield server


@pytest.fixture
def nats_url(nats: RunningNats) -> str:
    """Streams are shared by the tests of a run: delete what would disturb others."""
    return nats.url


@pytest.fixture
async def bus(nats_url: str, anyio_backend: str) -> AsyncIterator[Bus]:
    bus = await Bus.connect(Settings(nats_url=nats_url), name="test")
    yield bus
    await bus.close()


@pytest.fixture
def api_settings(tmp_path: Path, database_url: str, nats_url: str) -> Settings:
    """Of a whole api, whose model nobody asks."""
    (tmp_path / "keys").mkdir()
    return Settings(
        data_dir=tmp_path,
        database_url=database_url,
        nats_url=nats_url,
        model_url="http://127.0.0.1:1/v1",
        model_key="unused",
    )


@pytest.fixture(scope="session")
def model(engines_directory: Path) -> Iterator[RunningModel]:
    """The local model server of this run: `.url` (…/v1) and `.key`."""
    with start_model(engines_directory) as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningS3]:
    """The S3 server of this run, with a bucket; on the disk, since tests put much into it."""
    with start_s3(tmp_path_factory.mktemp("storage")) as server:
        yield server

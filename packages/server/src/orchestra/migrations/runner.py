"""Runs Alembic without an ini file: one connection, one transaction, one advisory lock."""

import asyncio

import asyncpg
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from orchestra.migrations import VERSIONS

# Any fixed number: two processes that start at once migrate one after the other.
MIGRATION_LOCK = 7_203_311


def upgrade(dsn: str, *, target: str = "head") -> None:
    """Upgrades to a revision in one transaction; must not be called from a running event loop."""
    asyncio.run(_upgrade(dsn, target))


async def _upgrade(dsn: str, target: str) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(dsn, timeout=10),
        poolclass=NullPool,
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            await connection.run_sync(_run_scripts, target)
    finally:
        await engine.dispose()


def _run_scripts(connection: Connection, target: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)

    def steps(revision: str, _context: object) -> object:
        return script._upgrade_revs(target, revision)  # pyright: ignore[reportPrivateUsage]

    with EnvironmentContext(config, script, fn=steps) as environment:
        environment.configure(connection=connection, transactional_ddl=False)
        environment.run_migrations()

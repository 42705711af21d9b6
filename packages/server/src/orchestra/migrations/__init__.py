"""The schema's history, and the one way to bring a database to its newest revision.

The schema is plain SQL in `versions/`. Alembic and SQLAlchemy are imported only when there is
something to migrate, because every process asks at its start and their import costs half a second.
"""

import asyncio
from pathlib import Path

import asyncpg

VERSIONS = Path(__file__).parent / "versions"


def newest_revision() -> str:
    """The revision this code needs: the number that the newest file name begins with."""
    return max(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*_*.py"))


async def current_revision(dsn: str) -> str | None:
    """The revision a database is at, or None when it is empty."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
            return None
        return await connection.fetchval("SELECT version_num FROM alembic_version")
    finally:
        await connection.close()


async def migrate(dsn: str) -> bool:
    """Brings the database to the newest revision; says whether there was anything to do."""
    if await current_revision(dsn) == newest_revision():
        return False
    from orchestra.migrations import runner  # noqa: PLC0415 - heavy, and only needed here

    await asyncio.to_thread(runner.upgrade, dsn)
    return True

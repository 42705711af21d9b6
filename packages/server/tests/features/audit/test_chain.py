"""The audit chain on a real PostgreSQL."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest
from orchestra.features import audit
from orchestra.foundation.auth import SYSTEM
from orchestra.foundation.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = await Database.connect(database_url, pool_size=8)
    yield database
    await database.close()


async def _record(database: Database, target: object, **details: object) -> None:
    async with database.transaction() as tx:
        await audit.record(
            tx, SYSTEM, "thing.changed", target_kind="thing", target_id=target, details=details
        )


async def _verify(database: Database) -> int | None:
    async with database.transaction() as tx:
        return await audit.verify(tx)


async def test_an_untouched_chain_verifies_whatever_was_in_the_details(database: Database) -> None:
    await _record(database, 1, n=1.0, big=1e300, small=1e-9, third=1 / 3, nan=float("nan"))
    await _record(database, "NUL \0 and lone \ud800", key="\0", nested={"b": [1, None, True]})
    await _record(database, uuid.UUID(int=7), huge=10**40, text="粗体", when={"z"})
    await _record(database, 4, long="x" * 20_000, many=["y" * 400] * 100)
    assert await _verify(database) is None


async def test_concurrent_records_form_one_chain(database: Database) -> None:
    await asyncio.gather(*(_record(database, number) for number in range(40)))
    assert await _verify(database) is None


async def test_the_log_refuses_changes(database: Database) -> None:
    await _record(database, 1)
    for statement in ("UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log"):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            async with database.transaction() as tx:
                await tx.execute(statement)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit_log SET actor_name = 'somebody else' WHERE id = 2",
        "UPDATE audit_log SET details = '{\"n\": 8}' WHERE id = 2",
        "UPDATE audit_log SET hash = previous_hash WHERE id = 2",
    ],
)
async def test_verify_names_the_row_that_was_changed(database: Database, tampering: str) -> None:
    for number in range(4):
        await _record(database, number)
    async with database.transaction() as tx:
        await tx.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
        await tx.execute(tampering)
    assert await _verify(database) == 2


async def test_verify_names_the_row_after_one_that_was_taken_out(database: Database) -> None:
    for number in range(4):
        await _record(database, number)
    async with database.transaction() as tx:
        await tx.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
        await tx.execute("DELETE FROM audit_log WHERE id = 2")
    assert await _verify(database) == 3


async def test_a_change_that_rolls_back_leaves_no_record(database: Database) -> None:
    async def fails() -> None:
        async with database.transaction() as tx:
            await audit.record(tx, SYSTEM, "x", target_kind="x", target_id="x")
            raise LookupError

    with pytest.raises(LookupError):
        await fails()
    async with database.transaction() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM audit_log") == 0

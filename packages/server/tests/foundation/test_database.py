"""Transactions: what commits, what does not, and what happens after."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from orchestra.foundation.database import Database, Transaction, without_nul
from orchestra.foundation.errors import Conflict, InvalidInput, Unavailable

COUNT = "SELECT count(*) FROM outbox"
INSERT = (
    "INSERT INTO outbox (subject, message_id, payload, created_at) VALUES ('s', 'm', '', now())"
)


def on_database(url: str, test: Callable[[Database], Awaitable[None]]) -> None:
    async def body() -> None:
        database = await Database.connect(url, pool_size=3)
        try:
            await test(database)
        finally:
            await database.close()

    asyncio.run(body())


def test_an_exception_rolls_back_and_runs_no_effect(database_url: str) -> None:
    effects: list[str] = []

    async def effect() -> None:
        effects.append("ran")

    async def fail(tx: Transaction) -> None:
        await tx.execute(INSERT)
        tx.after_commit(effect)
        raise ValueError("no")

    async def test(database: Database) -> None:
        with pytest.raises(ValueError, match="no"):
            async with database.transaction() as tx:
                await fail(tx)
        async with database.transaction() as tx:
            assert await tx.fetch_value(COUNT) == 0
        assert effects == []

    on_database(database_url, test)


def test_effects_run_in_order_after_the_commit_and_one_that_fails_stops_none(
    database_url: str,
) -> None:
    seen: list[int] = []

    async def test(database: Database) -> None:
        async def count() -> None:
            async with database.transaction() as other:
                seen.append(await other.fetch_value(COUNT))

        async def fail() -> None:
            raise ValueError("an effect may fail")

        async with database.transaction() as tx:
            await tx.execute(INSERT)
            tx.after_commit(fail)
            tx.after_commit(count)
            assert seen == []
        assert seen == [1]

    on_database(database_url, test)


def test_json_goes_in_and_out_and_the_character_nul_is_replaced(database_url: str) -> None:
    value = {"text": "a\0b", "literal": "\\u0000", "list": [1, None, "é中"]}

    async def test(database: Database) -> None:
        async with database.transaction() as tx:
            back = await tx.fetch_value("SELECT $1::jsonb", value)
        assert back == {**value, "text": "a\ufffdb"}

    on_database(database_url, test)
    assert without_nul("a\0b") == "a\ufffdb"


def test_only_one_holds_a_session_lock_and_it_goes_with_the_block(database_url: str) -> None:
    async def test(database: Database) -> None:
        async with database.session_lock(7) as first, database.session_lock(7) as second:
            assert (first, second) == (True, False)
        async with database.session_lock(7) as again:
            assert again

    on_database(database_url, test)


def test_a_session_lock_goes_from_a_holder_who_says_nothing(database_url: str) -> None:
    """As a process that is stopped, with its connection open."""

    async def is_free(database: Database) -> bool:
        async with database.session_lock(8) as got:
            return got

    async def hold(database: Database) -> None:
        async with database.session_lock(8, seconds=0.2) as held, asyncio.timeout(10):
            assert held
            while not await is_free(database):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)

    async def test(database: Database) -> None:
        with pytest.raises(Unavailable):
            await hold(database)
        # What was set for the holder is not left to whoever gets the connection next.
        async with database.session_lock(8, seconds=60) as held:
            assert held
        timeout = await database.fetch("SELECT current_setting('idle_session_timeout') AS it")
        assert timeout[0]["it"] == "0"

    on_database(database_url, test)


def test_a_database_that_is_away_is_unavailable_with_a_time_to_come_back() -> None:
    with pytest.raises(Unavailable) as caught:
        asyncio.run(Database.connect("postgresql://u@127.0.0.1:1/d", pool_size=1, timeout=2))
    assert caught.value.retry_after == 2


def test_a_statement_that_gets_no_answer_is_unavailable_too(database_url: str) -> None:
    """As of a PostgreSQL that is stopped: what waits for it has to be tried again, not to fail."""

    async def ask() -> None:
        database = await Database.connect(database_url, pool_size=1, statement_seconds=0.3)
        try:
            async with database.transaction() as tx:
                await tx.execute("SELECT pg_sleep(60)")
        finally:
            await database.close()

    with pytest.raises(Unavailable):
        asyncio.run(ask())


def test_a_connection_that_is_cut_is_unavailable_and_the_pool_heals(database_url: str) -> None:
    async def cut(database: Database) -> None:
        async with database.transaction() as tx:
            own = await tx.fetch_value("SELECT pg_backend_pid()")
            async with database.transaction() as other:
                await other.execute("SELECT pg_terminate_backend($1)", own)
            await tx.fetch_value("SELECT 1")

    async def test(database: Database) -> None:
        with pytest.raises(Unavailable):
            await cut(database)
        await database.ping()

    on_database(database_url, test)


def test_a_character_that_postgresql_cannot_keep_is_the_callers_mistake(database_url: str) -> None:
    async def test(database: Database) -> None:
        with pytest.raises(InvalidInput, match="NUL"):
            await database.fetch("SELECT $1::text", "a\0b")

    on_database(database_url, test)


def test_a_reference_to_what_is_not_there_is_a_conflict(database_url: str) -> None:
    async def refer(database: Database) -> None:
        async with database.transaction() as tx:
            await tx.execute("CREATE TEMP TABLE a (id int PRIMARY KEY)")
            await tx.execute("CREATE TEMP TABLE b (a int REFERENCES a)")
            await tx.execute("INSERT INTO b VALUES (1)")

    async def test(database: Database) -> None:
        with pytest.raises(Conflict, match="refers"):
            await refer(database)

    on_database(database_url, test)

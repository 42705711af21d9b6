"""PostgreSQL: one pool, explicit transactions, effects after the commit.

This is the only module that commits. A door opens a transaction, services take it as their first
argument, repositories run SQL on it.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import structlog

from orchestra.foundation.errors import Conflict, InvalidInput, Unavailable

log = structlog.get_logger(__name__)

# A statement that takes longer is cut off: PostgreSQL is away, or as good as that.
STATEMENT_SECONDS = 30.0
# What PostgreSQL and its sockets raise while it is away, starting or shutting down.
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
)

# What it raises when it cannot do something now: deadlocks, full disks, statements cut off.
NOT_NOW = (
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.LockNotAvailableError,
)

# What a caller has sent and no check before has caught: never a fault of ours to him.
NOT_TEXT = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)

Row = asyncpg.Record
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

AfterCommit = Callable[[], Awaitable[None]]


class Transaction:
    """One database transaction. What `after_commit` is given runs only if it commits, in order."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._after_commit: list[AfterCommit] = []

    async def fetch(self, sql: str, *values: object) -> list[Row]:
        return await self._connection.fetch(sql, *values)

    async def fetch_one(self, sql: str, *values: object) -> Row | None:
        return await self._connection.fetchrow(sql, *values)

    async def fetch_value(self, sql: str, *values: object) -> Any:
        return await self._connection.fetchval(sql, *values)

    async def execute(self, sql: str, *values: object) -> int:
        """Runs one statement and returns how many rows it touched."""
        status: str = await self._connection.execute(sql, *values)
        last = status.rpartition(" ")[2]
        return int(last) if last.isdigit() else 0

    async def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        await self._connection.executemany(sql, rows)

    @asynccontextmanager
    async def savepoint(self) -> AsyncGenerator[None, None]:
        """Undoes what the block wrote if it raises, with its effects; leaves the rest as it is."""
        before = len(self._after_commit)
        try:
            async with self._connection.transaction():
                yield
        except BaseException:
            del self._after_commit[before:]
            raise

    def after_commit(self, effect: AfterCommit) -> None:
        """Registers an effect outside the database.

        It must be repeatable by other means: a crash may skip it.
        """
        self._after_commit.append(effect)

    async def run_effects(self) -> None:
        for effect in self._after_commit:
            try:
                await effect()
            except Exception:
                log.exception(
                    "effect after commit failed",
                    effect=getattr(effect, "__qualname__", repr(effect)),
                )


class Database:
    """A pool of connections. Open with `connect`, close with `close`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        pool_size: int,
        timeout: float = 10,
        statement_seconds: float = STATEMENT_SECONDS,
    ) -> "Database":
        """Connects within `timeout` seconds; raises Unavailable when PostgreSQL is away."""
        try:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=pool_size,
                timeout=timeout,
                command_timeout=statement_seconds,
                init=_prepare_connection,
                reset=_nothing_to_reset,
                server_settings={"application_name": "orchestra", "timezone": "UTC"},
            )
        except AWAY as error:
            raise Unavailable("PostgreSQL does not answer", retry_after=2) from error
        return cls(pool)

    async def close(self) -> None:
        try:
            await asyncio.wait_for(self._pool.close(), timeout=5)
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction, None]:
        """Commits at the end, rolls back on any exception, then runs the effects after a commit.

        Raises Unavailable when PostgreSQL is away: nothing was acknowledged then.
        """
        async with self._connection() as connection:
            transaction = Transaction(connection)
            async with connection.transaction():
                yield transaction
        await transaction.run_effects()

    async def fetch(self, sql: str, *values: object) -> list[Row]:
        """Runs one statement as a transaction of its own, which saves two round trips.

        Raises Unavailable when PostgreSQL is away; whether it took effect is then not known.
        """
        async with self._connection() as connection:
            return await connection.fetch(sql, *values)

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Any, None]:
        try:
            connection = await self._pool.acquire(timeout=5)
        except AWAY as error:
            raise Unavailable("PostgreSQL does not answer", retry_after=2) from error
        try:
            yield connection
        except (asyncpg.PostgresConnectionError, ConnectionError, TimeoutError) as error:
            raise Unavailable("PostgreSQL went away", retry_after=2) from error
        except NOT_NOW as error:
            raise Unavailable("PostgreSQL cannot do this now", retry_after=1) from error
        except NOT_TEXT as error:
            raise InvalidInput("A text has a character that cannot be kept: NUL.") from error
        except asyncpg.ForeignKeyViolationError as error:
            log.warning("something refers to what is not there", constraint=error.constraint_name)
            raise Conflict("What this refers to is not there, or not any more.") from error
        except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise Unavailable("the connection to PostgreSQL was lost", retry_after=2) from error
        finally:
            await _release(self._pool, connection)

    @asynccontextmanager
    async def session_lock(
        self, number: int, *, seconds: float | None = None
    ) -> AsyncGenerator[bool, None]:
        """Tries a PostgreSQL advisory lock for as long as the block runs; yields if it was got.

        For jobs of which only one may run in the whole installation. The lock goes with the
        connection, and that goes with a process that died. From one that is only stopped,
        PostgreSQL takes both after `seconds`, which is more than the block needs.
        """
        async with self._connection() as connection:
            got = await connection.fetchval("SELECT pg_try_advisory_lock($1)", number)
            try:
                if got and seconds is not None:
                    await connection.execute(f"SET idle_session_timeout = {seconds * 1000:.0f}")
                yield bool(got)
            finally:
                if got and not connection.is_closed():
                    await _unlock(connection, number)

    async def ping(self) -> None:
        """Raises Unavailable unless a query answers."""
        async with self._connection() as connection:
            await connection.execute("SELECT 1", timeout=2)


async def _release(pool: asyncpg.Pool, connection: Any) -> None:
    try:
        await pool.release(connection, timeout=5)
    except AWAY:
        log.warning("a broken database connection was dropped")


async def _unlock(connection: Any, number: int) -> None:
    """Gives a session's lock back; if that cannot be done, the session ends with it."""
    try:
        await connection.execute("SELECT pg_advisory_unlock($1)", number)
        await connection.execute("RESET idle_session_timeout")
    except BaseException:
        connection.terminate()
        raise


async def _nothing_to_reset(_connection: Any) -> None:
    """Instead of asyncpg's own round trip after every use: nobody here changes a session.

    Settings are set for a transaction only (SET LOCAL), and the lock of a session is given back
    with what was set for it. asyncpg itself rolls back what is open.
    """


async def _prepare_connection(connection: Any) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, schema="pg_catalog", encoder=_encode_json, decoder=msgspec.json.decode
        )


def _encode_json(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    # PostgreSQL cannot store the character NUL; what a model or user sent of it becomes U+FFFD.
    return _ESCAPED_NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


def without_nul(text: str) -> str:
    """Text that PostgreSQL can store: NUL becomes U+FFFD."""
    return text.replace("\0", "\ufffd")

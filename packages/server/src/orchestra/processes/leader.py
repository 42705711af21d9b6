"""Which worker does what only one may do: the one that holds a lock in PostgreSQL.

It holds the lock for a term and takes it again: should its connection have died unnoticed, two
leaders work side by side for one term at most, which every job survives. A leader that is stopped
keeps its connection: PostgreSQL ends that soon after the term.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from orchestra.foundation.database import Database
from orchestra.foundation.errors import Unavailable

log = structlog.get_logger(__name__)

# Any fixed number.
LEADER_LOCK = 7_203_340
TERM_SECONDS = 10.0
# When a leader who says nothing has lost its office; a busy one may be late by the difference.
SILENCE_SECONDS = 15.0
# How soon another takes over.
RETRY_SECONDS = 2.0

Step = Callable[[], Awaitable[float]]


class Leader:
    """Runs for office as long as the process lives."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_ours = asyncio.Event()

    @property
    def is_ours(self) -> bool:
        return self._is_ours.is_set()

    def only(self, step: Step) -> Step:
        """A step that waits for its turn to lead."""

        async def guarded() -> float:
            await self._is_ours.wait()
            return await step()

        return guarded

    async def run(self) -> None:
        while True:
            try:
                got = await self._serve_term()
            except Unavailable as error:
                log.warning("no leader while PostgreSQL is away", error=error.message)
                got = False
            if not got:
                await asyncio.sleep(RETRY_SECONDS)

    async def _serve_term(self) -> bool:
        async with self._database.session_lock(LEADER_LOCK, seconds=SILENCE_SECONDS) as got:
            if got:
                self._is_ours.set()
                try:
                    await asyncio.sleep(TERM_SECONDS)
                finally:
                    self._is_ours.clear()
        return got

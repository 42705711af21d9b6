"""Writes down what every model call used, beside the stream and not in it."""

import asyncio
from collections import deque

import structlog

from orchestra.features.providers import repository
from orchestra.features.providers.types import ModelCall
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.database import Database
from orchestra.foundation.errors import Unavailable

log = structlog.get_logger(__name__)

# Calls that end within this time are written together.
GATHER_SECONDS = 0.2
RETRY_SECONDS = 1.0
BATCH = 500
# While PostgreSQL is away the oldest go first; a call is about 300 bytes.
MAX_WAITING = 20_000


class Calls:
    """A bounded buffer and the task that empties it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[ModelCall] = deque(maxlen=MAX_WAITING)
        self._some = asyncio.Event()
        self._writing = asyncio.Lock()
        self._guard = Guard()

    def start(self) -> None:
        self._guard.spawn("model-calls", self._run())

    def add(self, call: ModelCall) -> None:
        """Takes a finished call; never waits."""
        if len(self._waiting) == MAX_WAITING:
            log.warning("model calls are not written down fast enough; the oldest is dropped")
        self._waiting.append(call)
        self._some.set()

    async def flush(self) -> None:
        """Writes everything that waits now; raises Unavailable while PostgreSQL is away."""
        async with self._writing:
            # What arrives meanwhile is gathered for the next time, not written call by call.
            for size in _batches(len(self._waiting)):
                batch = [self._waiting.popleft() for _ in range(size)]
                try:
                    async with self._database.transaction() as tx:
                        await repository.insert_calls(tx, batch)
                except (Unavailable, asyncio.CancelledError):
                    self._waiting.extendleft(reversed(batch))
                    raise

    async def close(self) -> None:
        await self._guard.stop()
        try:
            await self.flush()
        except Unavailable:
            log.warning("model calls were not written down", count=len(self._waiting))

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            await asyncio.sleep(GATHER_SECONDS)
            try:
                await self.flush()
            except Unavailable:
                self._some.set()
                await asyncio.sleep(RETRY_SECONDS)


def _batches(count: int) -> list[int]:
    return [min(BATCH, count - start) for start in range(0, count, BATCH)]

"""Natural batching: what arrives while one batch is at work becomes the next.

Alone, an item starts at once; under load many share one transaction. No timer adds latency.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from orchestra.foundation.concurrency import Guard, is_stopped
from orchestra.foundation.errors import OrchestraError, Unavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Hands items to `work` in batches; each caller gets its own item's outcome.

    `work` returns one outcome for each item, in order; an exception among them is raised at its
    caller alone, one that `work` raises at all callers of the batch.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]],
        *,
        largest: int = 64,
        parallel: int = 2,
        max_waiting: int = 20_000,
    ) -> None:
        self._name = name
        self._work = work
        self._largest = largest
        self._parallel = parallel
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._running = 0
        self._guard = Guard()

    def __len__(self) -> int:
        """How many wait for the next batch."""
        return len(self._waiting)

    async def submit(self, item: T) -> R:
        """Waits for the item's outcome; raises Unavailable when too many wait already."""
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable("Too much is waiting to be written.", retry_after=1)
        outcome: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, outcome))
        if self._running < self._parallel:
            self._running += 1
            self._guard.spawn(self._name, self._run())
        return await outcome

    async def close(self) -> None:
        """Gives up what has not begun."""
        await self._guard.stop()
        while self._waiting:
            self._waiting.popleft()[1].cancel()

    async def _run(self) -> None:
        try:
            while self._waiting:
                count = min(self._largest, len(self._waiting))
                batch = [self._waiting.popleft() for _ in range(count)]
                await self._do(batch)
        finally:
            self._running -= 1

    async def _do(self, batch: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            outcomes: Sequence[R | Exception] = await self._work([item for item, _ in batch])
        except asyncio.CancelledError as error:
            if is_stopped():
                for _, outcome in batch:
                    outcome.cancel()
                raise
            log.exception("a batch was cut off", batch=self._name)
            cut_off = Unavailable("The database did not finish this.", retry_after=1)
            cut_off.__cause__ = error
            outcomes = [cut_off] * len(batch)
        except OrchestraError as error:
            outcomes = [error] * len(batch)
        except Exception as error:  # noqa: BLE001 - it is raised at the callers
            if len(batch) > 1:  # one of them did it: the others shall not suffer
                for alone in batch:
                    await self._do([alone])
                return
            outcomes = [error]
        for (_, outcome), value in zip(batch, outcomes, strict=True):
            _settle(outcome, value)


def _settle(outcome: "asyncio.Future[R]", value: R | Exception) -> None:
    if outcome.done():
        return
    if isinstance(value, Exception):
        outcome.set_exception(value)
    else:
        outcome.set_result(value)

"""Whether there is room for more tasks: the bound of the installation, and that of each queue.

Counted now and then and added to in between, so the bounds hold roughly, and cost next to nothing.
"""

from collections import Counter
from collections.abc import Mapping

from orchestra.features.tasks.errors import QueueFull, ThisQueueFull
from orchestra.features.tasks.repository import queues, submitting
from orchestra.features.tasks.types import QueueName
from orchestra.foundation import clock
from orchestra.foundation.database import Database
from orchestra.foundation.settings import Settings

COUNT_EVERY_SECONDS = 2.0
# Counting takes at most this share of a connection, however many wait.
COUNT_SHARE = 0.05
RETRY_AFTER_SECONDS = 5.0


class Room:
    """One for each process that takes tasks in."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._waiting: Counter[QueueName] = Counter()
        self._total = 0
        self._bounds: Mapping[QueueName, int] = {}
        self._count_at = float("-inf")

    async def take(self, wanted: Mapping[QueueName, int]) -> None:
        """Raises QueueFull or ThisQueueFull, with a time to come back, if too many wait already."""
        await self.look()
        self.reserve(wanted)

    async def look(self) -> None:
        """Counts again if that is due."""
        if clock.monotonic() >= self._count_at:
            await self._count()

    def reserve(self, wanted: Mapping[QueueName, int]) -> None:
        """Like `take`, by what is known: for inside a transaction."""
        if self._total + sum(wanted.values()) > self._settings.max_queued_tasks:
            raise QueueFull(retry_after=RETRY_AFTER_SECONDS)
        for queue, number in wanted.items():
            if self._waiting[queue] + number > (bound := self._bound(queue)):
                raise ThisQueueFull(
                    f"{bound} tasks may wait in the queue {queue}; try again in a moment.",
                    retry_after=RETRY_AFTER_SECONDS,
                )
        self._waiting.update(wanted)
        self._total += sum(wanted.values())

    def full(self) -> list[QueueName] | None:
        """The queues that have no room, by what is known; None if no queue has any."""
        if self._total >= self._settings.max_queued_tasks:
            return None
        return [
            queue
            for queue in self._waiting.keys() | self._bounds.keys()
            if self._waiting[queue] >= self._bound(queue)
        ]

    def _bound(self, queue: QueueName) -> int:
        return self._bounds.get(queue, self._settings.max_queued_per_queue)

    async def _count(self) -> None:
        started = clock.monotonic()
        self._count_at = started + COUNT_EVERY_SECONDS  # nobody else counts meanwhile
        async with self._database.transaction() as tx:
            self._bounds = await queues.bounds(tx)
            self._waiting = Counter(await submitting.count_by_queue(tx))
        self._total = self._waiting.total()
        took = clock.monotonic() - started
        self._count_at = clock.monotonic() + max(COUNT_EVERY_SECONDS, took / COUNT_SHARE)

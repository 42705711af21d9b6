"""The topic of one task: windows of numbered events, loaded from the beginning of the run."""

import asyncio
import uuid
from collections.abc import Iterable
from typing import Any

from orchestra.features.events.service import encoding
from orchestra.features.events.service.history import Page, Stored
from orchestra.features.events.service.topic import Topic
from orchestra.features.events.types import (
    FINISHED,
    FeedItem,
    Key,
    SnapshotSource,
    TopicSnapshot,
    task_topic,
)
from orchestra.foundation import clock

# Pages kept while readers of a long run catch up together.
KEPT_PAGES = 8
# Readers that ask within this time share the answer of the database.
SNAPSHOT_SECONDS = 0.2


def follows(known: Key | None, key: Key) -> bool:
    """Whether nothing is missing in between: the next of a lease, or the start of a later one."""
    if key[1] == 0:
        return known is None or key[0] > known[0]
    return known is not None and key == (known[0], known[1] + 1)


def before(key: Key) -> Key:
    return key[0], max(0, key[1] - 1)


class TaskTopic(Topic):
    """Knows where the run ends, and asks the database for what JetStream has lost."""

    def __init__(self, task_id: uuid.UUID, *, source: SnapshotSource | None, **more: Any) -> None:
        super().__init__(task_topic(task_id), **more)
        self.task_id = task_id
        self.final_key: Key | None = None
        self._source = source
        self._life = ""
        self._pages: dict[int, asyncio.Future[Page]] = {}
        self._snapshot: TopicSnapshot | None = None
        self._snapshot_at = -1.0
        self._asking = asyncio.Lock()

    def position_for(self, key: Key | None) -> int | None:
        """Where a reader that has everything up to `key` goes on in the ring; None if it cannot."""
        found = self.ring.first_after(key)
        if found is not None:
            return found[0] if follows(key, found[1]) else None
        return self.ring.end if self.ring.last_key is not None else None

    async def page(self, sequence: int) -> tuple[list[FeedItem], int, bool]:
        """Items from that place of the stream on, where to go on, whether they were the last."""
        pending = self._pages.get(sequence)
        if pending is None:
            if len(self._pages) >= KEPT_PAGES:
                self._pages.pop(next(iter(self._pages)))
            pending = self._guard.spawn(
                f"page {self.subject}", self._history.page(self.subject, sequence=sequence)
            )
            self._pages[sequence] = pending
        try:
            page = await asyncio.shield(pending)
        except BaseException:
            self._forget_page(sequence, pending)
            raise
        if page.is_last:  # more may follow later
            self._forget_page(sequence, pending)
        items = [item for stored in page.messages for item in encoding.task_items(stored.payload)]
        return items, page.next_sequence, page.is_last

    async def snapshot(self) -> TopicSnapshot | None:
        """What the database knows, at most 0.2 s ago; None if there is no such task."""
        async with self._asking:
            if clock.monotonic() - self._snapshot_at > SNAPSHOT_SECONDS:
                found = await self._source([self.task_id]) if self._source else None
                self._snapshot = found.get(self.task_id) if found else None
                self._snapshot_at = clock.monotonic()
            return self._snapshot

    async def reconcile(self, snapshot: TopicSnapshot) -> None:
        """Makes good what neither the subscription nor JetStream brought, as the database shows."""
        if not self._is_behind(snapshot):
            return
        await self.resynced()
        if not self._is_behind(snapshot):
            return
        self._snapshot, self._snapshot_at = snapshot, clock.monotonic()
        last = self.ring.last_key
        if snapshot.finished is not None and last is not None and follows(last, snapshot.key):
            self._append(encoding.finished_item(snapshot))
        else:
            self.ring.clear()
        self.wake_all()

    def _is_behind(self, snapshot: TopicSnapshot) -> bool:
        if self.final_key is not None:
            return False
        last = self.ring.last_key
        return snapshot.finished is not None or (last is not None and snapshot.key > last)

    def _forget_page(self, sequence: int, pending: "asyncio.Future[Page]") -> None:
        if self._pages.get(sequence) is pending:
            del self._pages[sequence]

    def _items(self, stored: Stored) -> Iterable[FeedItem]:
        return encoding.task_items(stored.payload)

    def _misses_before(self, stored: Stored, items: list[FeedItem]) -> bool:
        last = self.ring.last_key
        first = next((item.key for item in items if item.key is not None), None)
        return last is not None and first is not None and not follows(last, first)

    def _start_anew(self, first: list[FeedItem]) -> None:
        self.ring.clear()

    def _append(self, item: FeedItem) -> None:
        super()._append(item)
        if item.type == FINISHED:
            self.final_key = item.key

    async def _load(self) -> None:
        self._life = self._bus.stream_epoch
        await self._read_on()

    async def _before_resync(self) -> None:
        if self._bus.stream_epoch != self._life:
            self._life, self._next_sequence = self._bus.stream_epoch, 1

"""Readers: cursors into rings, woken by events; a few hundred bytes each, no task of their own."""

import asyncio
from typing import Protocol

from orchestra.features.events.service import encoding
from orchestra.features.events.service.ring import Batch
from orchestra.features.events.service.task_topic import TaskTopic, before, follows
from orchestra.features.events.types import FeedItem, Key, TopicSnapshot
from orchestra.foundation import clock
from orchestra.foundation.errors import Unavailable

RETRY_SECONDS = 0.5
# How long a reader waits for the database to know as much as was lost of the stream: the control
# plane saves the text at most 2 s late.
SNAPSHOT_PATIENCE_SECONDS = 10.0


class Chunk(Protocol):
    """What a reader is handed: items, and the same as bytes of server-sent events."""

    @property
    def items(self) -> list[FeedItem]: ...
    @property
    def sse(self) -> bytes: ...


class Heartbeat:
    items: list[FeedItem] = []  # noqa: RUF012 - never changed; instances are not made
    sse = encoding.HEARTBEAT


_HEARTBEAT = Heartbeat()


class Reader:
    """Base of both kinds: waiting, heartbeats, and the end."""

    __slots__ = ("_is_beating", "_waiter", "closing")

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None
        self._is_beating = False
        self.closing: str | None = None  # why it ends; empty if the other side left

    async def next(self) -> Chunk | None:
        """Waits for what comes next; None at the end."""
        while self.closing is None:
            if self._is_beating:
                self._is_beating = False
                return _HEARTBEAT
            chunk = self._take()
            if chunk is None and self.closing is None:
                chunk = await (self._wait() if self._is_attached() else self._attach())
            if chunk is not None:
                return chunk
        return None

    def wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def beat(self) -> None:
        """Makes an idle reader hand out a heartbeat."""
        self._is_beating = True
        self.wake()

    def close(self, reason: str) -> None:
        if self.closing is None:
            self.closing = reason
        self.wake()

    def _take(self) -> Chunk | None:
        """What is there for it in the rings, without waiting; may find that this is the end."""
        raise NotImplementedError

    def _is_attached(self) -> bool:
        """Whether it has its place in the rings, so that waiting makes sense."""
        raise NotImplementedError

    async def _attach(self) -> Chunk | None:
        """Finds its place in the rings, and what comes before it; None means try again."""
        raise NotImplementedError

    def _wait(self) -> "asyncio.Future[None]":
        """Until somebody calls `wake`; nothing may be awaited between looking and waiting."""
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter


class TaskReader(Reader):
    """Follows one task from any cursor to its end."""

    __slots__ = ("_is_over", "_key", "_position", "_sequence", "topic")

    def __init__(self, topic: TaskTopic, key: Key | None, *, is_over: bool = False) -> None:
        super().__init__()
        self._is_over = is_over  # as the database said when the reader came
        self.topic = topic
        self._key = key
        self._position: int | None = None
        self._sequence = 1

    def _take(self) -> Chunk | None:
        ring, position = self.topic.ring, self._position
        if position is None:
            return None
        if position == ring.end:
            if self._has_ended():
                self.closing = ""
            return None
        if position < ring.start:
            self._position = None
            return None
        batch = ring.batch(position)
        if batch.first_key is not None and not follows(self._key, batch.first_key):
            self._position = None
            return None
        self._position = batch.end
        return self._hand_out(batch)

    def _is_attached(self) -> bool:
        return self._position is not None

    async def _attach(self) -> Chunk | None:
        if self._has_ended():
            self.closing = ""
            return None
        try:
            batch = await self._catch_up()
        except Unavailable:
            await pause(RETRY_SECONDS)
            return None
        return None if batch is None else self._hand_out(batch)

    def _hand_out(self, batch: Batch) -> Batch:
        self._key = batch.last_key or self._key
        if batch.is_final:
            self.topic.final_key = self._key
        return batch

    def _has_ended(self) -> bool:
        final = self.topic.final_key
        return final is not None and self._key is not None and self._key >= final

    async def _catch_up(self) -> Batch | None:
        """Joins the ring, or reads what is before it; what is lost is replaced by a snapshot."""
        topic = self.topic
        await topic.ready()
        if self._is_over:
            await self._find_end()
        self._position = topic.position_for(self._key)
        if self._position is not None:
            self._sequence = 1
            return None
        items, following, is_last = await topic.page(self._sequence)
        news, hole = self._whole(items)
        if hole is None:
            self._sequence = following
        if any(item.key for item in news):
            return Batch(news)
        if hole is None and not is_last:
            return None
        return await self._from_database(None if hole is None else before(hole))

    async def _find_end(self) -> None:
        """The end may be known to the database before, or long after, JetStream knows it."""
        snapshot = await self.topic.snapshot() if self.topic.final_key is None else None
        if snapshot is not None:
            await self.topic.reconcile(snapshot)
        self._is_over = False

    def _whole(self, items: list[FeedItem]) -> tuple[list[FeedItem], Key | None]:
        """What is new of `items` up to where something is missing, and the key after that."""
        news, key = list[FeedItem](), self._key
        for item in items:
            if item.key is not None:
                if key is not None and item.key <= key:
                    continue
                if not follows(key, item.key):
                    return news, item.key
                key = item.key
            news.append(item)
        return news, None

    async def _from_database(self, needed: Key | None) -> Batch | None:
        """A gap and a snapshot that reaches to `needed`; None if nothing is known to be lost."""
        self._sequence = 1
        limit = clock.monotonic() + SNAPSHOT_PATIENCE_SECONDS
        while True:
            snapshot = await self.topic.snapshot()
            if snapshot is None or (needed is None and self._knows(snapshot)):
                self._position = self.topic.ring.end
                return None
            is_late = clock.monotonic() > limit or self.closing is not None
            if needed is None or snapshot.key >= needed or is_late:
                batch = Batch(encoding.gap_items(self._key, snapshot))
                batch.last_key = max(snapshot.key, needed or snapshot.key)
                return batch
            await pause(RETRY_SECONDS)

    def _knows(self, snapshot: TopicSnapshot) -> bool:
        if snapshot.finished is not None:
            return False
        key = snapshot.key
        return key <= self._key if self._key is not None else key[0] <= 1 and key[1] == 0


async def pause(seconds: float) -> None:
    """Waits out a fault; short enough that nobody needs to interrupt it."""
    await asyncio.sleep(seconds)

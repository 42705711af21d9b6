"""The live feed of one caller: several topics, merged in the order of the stream, and filtered."""

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from orchestra.features.events.service import encoding
from orchestra.features.events.service.readers import RETRY_SECONDS, Chunk, Reader, pause
from orchestra.features.events.service.ring import Batch
from orchestra.features.events.service.stream_topic import CurrentTopic, StreamTopic
from orchestra.features.events.types import FeedItem, Key, LiveSnapshot
from orchestra.foundation import clock
from orchestra.foundation.auth import Actor
from orchestra.foundation.errors import Unavailable

DEFAULT_TYPES = frozenset({"task.status", "task.finished", "conversation.updated"})
# A reader that falls behind twice within this time cannot keep up at all.
SLOW_SECONDS = 5.0

# What administrators see of others; conversations are nobody else's business.
FOR_ADMINISTRATORS = ("task.", "agent.", "approval.")

LiveTopic = StreamTopic | CurrentTopic


class Bytes:
    """Ready-made bytes as a chunk."""

    __slots__ = ("items", "sse")

    def __init__(self, sse: bytes, items: list[FeedItem]) -> None:
        self.sse = sse
        self.items = items


class LiveReader(Reader):
    """Hands out what the caller may see and has subscribed to."""

    __slots__ = (
        "_actor",
        "_gap_at",
        "_is_admin",
        "_key",
        "_positions",
        "_snapshot",
        "_user",
        "feed_id",
        "patterns",
        "topics",
    )

    def __init__(
        self,
        topics: Sequence[LiveTopic],
        key: Key | None,
        *,
        feed_id: str,
        actor: Actor,
        patterns: frozenset[str],
        snapshot: LiveSnapshot | None,
    ) -> None:
        super().__init__()
        self.topics = tuple(topics)
        self.feed_id = feed_id
        self.patterns = patterns
        self._actor = actor
        self._user = str(actor.user_id)
        self._is_admin = actor.is_admin
        self._key = key
        self._snapshot = snapshot
        self._positions: list[int] | None = None
        self._gap_at: float | None = None

    def _take(self) -> Chunk | None:
        chunk: Chunk | None = None
        while chunk is None and self._positions is not None:
            batches = self._news(self._positions)
            if batches is None:
                self._positions = None  # fallen behind: what it stood at is gone
            elif not batches:
                return None
            else:
                chunk = self._chosen(batches)
        return chunk

    def _is_attached(self) -> bool:
        return self._positions is not None

    async def _attach(self) -> Chunk | None:
        try:
            return await self._find_place()
        except Unavailable:
            await pause(RETRY_SECONDS)
            return None

    async def _find_place(self) -> Chunk | None:
        """Its place in every ring; says where it stands, and what it had to leave out."""
        for topic in self.topics:
            await topic.ready()
        is_whole = self._key is None or await self._reach_back(self._key)
        if is_whole:
            self._positions = [self._place(topic) for topic in self.topics]
            self._key = self._key or self._now()
            return self._ready()
        return await self._skip()

    async def _reach_back(self, key: Key) -> bool:
        for topic in self.topics:
            if isinstance(topic, StreamTopic) and not await topic.reach_back(key):
                return False
        return True

    def _place(self, topic: LiveTopic) -> int:
        if isinstance(topic, CurrentTopic):
            return max(topic.ring.start, topic.ring.end - 1)
        found = topic.ring.first_after(self._key) if self._key is not None else None
        return found[0] if found is not None else topic.ring.end

    async def _skip(self) -> Chunk | None:
        """Goes on from now: a gap, then what the database says about now."""
        now = clock.monotonic()
        if self._gap_at is not None and now - self._gap_at < SLOW_SECONDS:
            self.close("slow")
            return None
        key, positions = self._now(), [topic.ring.end for topic in self.topics]
        snapshot: object = await self._snapshot(self._actor) if self._snapshot else None
        gap = {"from": _text(self._key), "to": _text(key)}
        self._key, self._positions, self._gap_at = key, positions, now
        return Bytes(
            self._ready_notice(None)
            + encoding.notice("gap", gap)
            + encoding.notice("snapshot", snapshot, cursor=_text(key)),
            [FeedItem(None, "gap", msgspec.json.encode(gap))],
        )

    def _ready(self) -> Chunk:
        return Bytes(self._ready_notice(self._key), [])

    def _ready_notice(self, key: Key | None) -> bytes:
        return encoding.notice("ready", {"feed_id": self.feed_id}, cursor=_text(key))

    def _now(self) -> Key:
        return max(topic.now for topic in self.topics if isinstance(topic, StreamTopic))

    def _news(self, positions: list[int]) -> list[Batch] | None:
        """What every topic has for it, moving on; None if one has gone on without it."""
        batches: list[Batch] = []
        for place, topic in enumerate(self.topics):
            ring, position = topic.ring, positions[place]
            if position == ring.end:
                continue
            if position < ring.start:
                if isinstance(topic, StreamTopic):
                    return None
                position = ring.start
            batch = ring.batch(position)
            positions[place] = batch.end
            batches.append(batch)
        return batches

    def _chosen(self, batches: list[Batch]) -> Chunk | None:
        """What it may see and wants of them, in the stream's order; None if that is nothing."""
        for batch in batches:
            if batch.last_key is not None and (self._key is None or batch.last_key > self._key):
                self._key = batch.last_key
        items = [item for batch in batches for item in batch.items if self._may_see(item)]
        if len(batches) == 1 and len(items) == len(batches[0].items):
            return batches[0]
        items.sort(key=_order)
        return Bytes(encoding.sse_all(items), items) if items else None

    def _may_see(self, item: FeedItem) -> bool:
        if not wants(self.patterns, item.type):
            return False
        if not item.owner or item.owner == self._user:
            return True
        return self._is_admin and item.type.startswith(FOR_ADMINISTRATORS)


@lru_cache(maxsize=4096)
def wants(patterns: frozenset[str], kind: str) -> bool:
    """Whether a set of types and prefixes such as `agent.*` names this type."""
    return kind in patterns or any(
        pattern.endswith("*") and kind.startswith(pattern[:-1]) for pattern in patterns
    )


def _order(item: FeedItem) -> Key:
    return item.key or (0, 0)


def _text(key: Key | None) -> str | None:
    return f"{key[0]}-{key[1]}" if key is not None else None

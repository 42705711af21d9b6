"""Topics of the live feed: single events, whose cursor is their place in the stream EVENTS."""

from collections.abc import Iterable
from typing import Any

from nats.aio.msg import Msg

from orchestra.features.events.service import encoding
from orchestra.features.events.service.history import Stored
from orchestra.features.events.service.topic import Topic
from orchestra.features.events.types import FeedItem, Key
from orchestra.foundation import clock


class StreamTopic(Topic):
    """Events of one subject or wildcard, complete from the ring's floor on."""

    def __init__(self, subject: str, **more: Any) -> None:
        super().__init__(subject, **more)
        self._life = 0
        self._last: dict[str, int] = {}

    @property
    def now(self) -> Key:
        """Where a reader stands that has read everything so far."""
        return self.ring.last_key or self.ring.floor or (self._life, 0)

    async def reach_back(self, key: Key) -> bool:
        """Makes the ring hold everything after `key`; False if that is lost or too much."""
        async with self._lock:
            floor = self.ring.floor
            if floor is None or key[0] != floor[0]:
                return False
            if key >= floor:
                return True
            first, _last = await self._history.bounds()
            if key[1] + 1 < first:
                return False
            older = await self._between(key, floor)
            return older is not None and self.ring.prepend(older, floor=key)

    async def _between(self, key: Key, floor: Key) -> list[FeedItem] | None:
        """What the stream has after `key` up to `floor`; None if the ring cannot hold it."""
        found = list[FeedItem]()
        sequence, is_last = key[1] + 1, False
        while not is_last and sequence <= floor[1]:
            page = await self._history.page(self.subject, sequence=sequence)
            for stored in page.messages:
                if stored.sequence <= floor[1]:
                    found.extend(self._items(stored))
            if len(found) > self.ring.max_items:
                return None
            sequence, is_last = page.next_sequence, page.is_last
        return found

    def _items(self, stored: Stored) -> Iterable[FeedItem]:
        item = encoding.live_item(
            stored.payload, key=(self._life, stored.sequence), subject=stored.subject
        )
        return [] if item is None else [item]

    def _misses_before(self, stored: Stored, items: list[FeedItem]) -> bool:
        floor = self.ring.floor
        known = max(self._last.get(stored.subject, 0), floor[1] if floor else 0)
        return stored.previous is not None and stored.previous > known

    def _take(self, stored: Stored, *, is_repaired: bool) -> bool:
        is_taken = super()._take(stored, is_repaired=is_repaired)
        if is_taken:
            self._last[stored.subject] = stored.sequence
        return is_taken

    def _start_anew(self, first: list[FeedItem]) -> None:
        key = first[0].key
        self.ring.clear(floor=(key[0], key[1] - 1) if key else None)

    async def _load(self) -> None:
        await self._begin_here()

    async def _before_resync(self) -> None:
        if int(self._bus.stream_epoch or 0) != self._life:
            self.ring.clear()
            self._last.clear()
            await self._begin_here()

    async def _begin_here(self) -> None:
        _first, last = await self._history.bounds()
        self._life = int(self._bus.stream_epoch or 0)
        self.ring.floor = (self._life, last)
        self._next_sequence = last + 1


class CurrentTopic(Topic):
    """Values of which only the newest counts, such as metrics: nothing is read again."""

    @property
    def now(self) -> Key | None:
        return None

    async def _subscribe(self) -> None:
        if self._subscription is None:
            self._subscription = await self._bus.listen(self.subject, self._received)

    async def _received(self, message: Msg) -> None:
        self.quiet_since = clock.monotonic()
        item = encoding.live_item(message.data, key=None, subject=self.subject)
        if item is not None:
            self.ring.append(item)
            self.wake_all()

    async def _load(self) -> None:
        """There is nothing to load."""

    async def _resync(self) -> None:
        """There is nothing to read again."""

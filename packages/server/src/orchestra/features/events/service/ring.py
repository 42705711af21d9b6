"""The newest items of one topic, kept once for all of its readers, who are positions in it.

Positions only grow and are never used twice: a reader whose position the ring has left behind knows
that it must catch up elsewhere.
"""

from collections import deque
from collections.abc import Iterable
from itertools import islice

from orchestra.features.events.service import encoding
from orchestra.features.events.types import FINISHED, FeedItem, Key

# What one reader is handed at once: enough for one write, little enough for many slow readers.
BATCH_BYTES = 16 * 1024
ITEM_OVERHEAD = 200
# How far positions jump when a ring starts anew: no `prepend` ever reaches back over it.
_FRESH = 1 << 32


class Batch:
    """Consecutive items. Readers at the same place share one, and with it the bytes they send."""

    __slots__ = ("_sse", "end", "first_key", "is_final", "items", "last_key")

    def __init__(self, items: list[FeedItem], end: int = -1) -> None:
        keys = [item.key for item in items if item.key is not None]
        self.items = items
        self.end = end
        self.first_key: Key | None = keys[0] if keys else None
        self.last_key: Key | None = keys[-1] if keys else None
        self.is_final = any(item.type == FINISHED and item.separator == ":" for item in items)
        self._sse: bytes | None = None

    @property
    def sse(self) -> bytes:
        if self._sse is None:
            self._sse = encoding.sse_all(self.items)
        return self._sse


class Ring:
    """Bounded by number and by size; the oldest items leave first."""

    def __init__(self, *, max_items: int, max_bytes: int) -> None:
        self.max_items = max_items
        self._max_bytes = max_bytes
        self._items: deque[FeedItem] = deque()
        self._bytes = 0
        self._batch: Batch | None = None
        self._batch_start = -1
        self.start = 0
        self.last_key: Key | None = None
        # Every item after this key is here; None: it is not known how far the ring reaches back.
        self.floor: Key | None = None

    @property
    def end(self) -> int:
        return self.start + len(self._items)

    def append(self, item: FeedItem) -> None:
        self._items.append(item)
        self._bytes += len(item.data) + ITEM_OVERHEAD
        if item.key is not None:
            self.last_key = item.key
        while len(self._items) > 1 and self._is_over():
            self._evict()

    def prepend(self, items: Iterable[FeedItem], *, floor: Key) -> bool:
        """Extends the ring backwards; False, and nothing is done, if that would not fit."""
        older = list(items)
        size = sum(len(item.data) + ITEM_OVERHEAD for item in older)
        if len(older) + len(self._items) > self.max_items or size + self._bytes > self._max_bytes:
            return False
        self._items.extendleft(reversed(older))
        self._bytes += size
        # Positions of readers stay what they are; those of the older items may be negative.
        self.start -= len(older)
        self.floor = floor
        return True

    def clear(self, *, floor: Key | None = None) -> None:
        """Forgets everything: every reader, also one at the end, has to catch up."""
        self.start = self.end + _FRESH
        self._items.clear()
        self._bytes = 0
        self._batch = None
        self.last_key = None
        self.floor = floor

    def first_after(self, key: Key | None) -> tuple[int, Key] | None:
        """Where the first item with a greater key is, and that key; None if there is none."""
        found: tuple[int, Key] | None = None
        for offset in range(len(self._items) - 1, -1, -1):
            item_key = self._items[offset].key
            if item_key is None:
                continue
            if key is not None and item_key <= key:
                break
            found = (self.start + offset, item_key)
        return found

    def batch(self, position: int) -> Batch:
        """Items from `position` on, at least one; `position` must be in the ring."""
        if self._batch is None or self._batch_start != position:
            self._batch, self._batch_start = self._cut(position), position
        return self._batch

    def _cut(self, position: int) -> Batch:
        size, chosen = 0, list[FeedItem]()
        for item in self._from(position - self.start):
            if chosen and size + len(item.data) > BATCH_BYTES:
                break
            chosen.append(item)
            size += len(item.data) + ITEM_OVERHEAD // 4
        return Batch(chosen, position + len(chosen))

    def _from(self, offset: int) -> Iterable[FeedItem]:
        count = len(self._items)
        if count - offset < offset:  # near the end, where readers usually are
            return (self._items[index] for index in range(offset, count))
        return islice(self._items, offset, None)

    def _is_over(self) -> bool:
        return len(self._items) > self.max_items or self._bytes > self._max_bytes

    def _evict(self) -> None:
        item = self._items.popleft()
        self._bytes -= len(item.data) + ITEM_OVERHEAD
        self.start += 1
        if item.key is not None and self.floor is not None:
            self.floor = item.key

"""One topic with readers: one subscription, one ring, and the repair of what the bus lost.

Whatever arrives is checked to follow what was there. If it does not, the missing part is read from
JetStream once for all readers; what is not there either is lost, and the ring starts anew, so that
readers have to ask the database.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from orchestra.features.events.service.history import History, Stored
from orchestra.features.events.service.ring import Ring
from orchestra.features.events.types import FeedItem, Key
from orchestra.foundation import clock
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.errors import OrchestraError, Unavailable
from orchestra.foundation.messaging import LIVE_PREFIX, Bus

log = structlog.get_logger(__name__)


class Follower(Protocol):
    """A reader, as its topic sees it."""

    def wake(self) -> None: ...


class Topic:
    """Base of both kinds of topic; `Feeds` owns them."""

    def __init__(
        self, subject: str, *, bus: Bus, history: History, guard: Guard, ring: Ring
    ) -> None:
        self.subject = subject
        self.ring = ring
        self.readers: set[Follower] = set()
        self.quiet_since = clock.monotonic()
        self._bus = bus
        self._history = history
        self._guard = guard
        self._subscription: Subscription | None = None
        self._lock = asyncio.Lock()
        self._opening = asyncio.Lock()
        self._is_open = False
        self._repair: asyncio.Task[None] | None = None
        self._must_repeat = False
        # Messages that arrive while the stream is read; None while none is.
        self._held: list[Stored] | None = None
        self._next_sequence = 1

    async def ready(self) -> None:
        """Waits until the topic listens and is loaded; raises Unavailable without NATS."""
        if self._is_open:
            return
        async with self._opening:
            if self._is_open:
                return
            try:
                await self._open()
            except (OSError, nats.errors.Error, TimeoutError) as error:
                raise Unavailable("NATS does not answer", retry_after=1) from error
            self._is_open = True

    async def close(self) -> None:
        if self._repair is not None:
            self._repair.cancel()
        subscription, self._subscription = self._subscription, None
        if subscription is not None and not self._bus.client.is_closed:
            await subscription.unsubscribe()

    def resync(self) -> None:
        """Reads again what may have been missed, for example after a reconnect."""
        if self._repair is None or self._repair.done():
            self._repair = self._guard.spawn(f"resync {self.subject}", self._resync())
        else:
            self._must_repeat = True

    async def resynced(self) -> None:
        self.resync()
        if self._repair is not None:
            await asyncio.shield(self._repair)

    def wake_all(self) -> None:
        for reader in self.readers:
            reader.wake()

    # What the two kinds of topic decide.

    def _items(self, stored: Stored) -> Iterable[FeedItem]:
        raise NotImplementedError

    def _misses_before(self, stored: Stored, items: list[FeedItem]) -> bool:
        """Whether something between what is known and this message has not arrived."""
        raise NotImplementedError

    def _start_anew(self, first: list[FeedItem]) -> None:
        """Empties the ring since what comes before `first` is lost."""
        raise NotImplementedError

    async def _load(self) -> None:
        """Fills the ring when the topic opens; runs while arriving messages are held."""
        raise NotImplementedError

    async def _before_resync(self) -> None:
        """Finds out whether the stream is still the one that was read before."""

    # Arrival.

    async def _received(self, message: Msg) -> None:
        headers = message.headers or {}
        subject = message.subject.removeprefix(LIVE_PREFIX)
        self._arrived(
            Stored(
                int(headers.get("Nats-Sequence", "0")),
                subject,
                message.data,
                int(headers.get("Nats-Last-Sequence", "0")),
            )
        )

    def _arrived(self, stored: Stored) -> None:
        self.quiet_since = clock.monotonic()
        if self._held is not None:
            self._held.append(stored)
        elif not self._take(stored, is_repaired=False):
            self._held = [stored]
            self.resync()

    def _take(self, stored: Stored, *, is_repaired: bool) -> bool:
        """Adds a message's items to the ring; False if something is missing before them."""
        items = [item for item in self._items(stored) if self._is_new(item.key)]
        if items and self._misses_before(stored, items):
            if not is_repaired:
                return False
            self._start_anew(items)
        for item in items:
            self._append(item)
        self._next_sequence = max(self._next_sequence, stored.sequence + 1)
        if items:
            self.wake_all()
        return True

    def _append(self, item: FeedItem) -> None:
        self.ring.append(item)

    def _is_new(self, key: Key | None) -> bool:
        return key is None or self.ring.last_key is None or key > self.ring.last_key

    # Reading the stream.

    async def _open(self) -> None:
        async with self._lock:
            self._held = []
            try:
                await self._subscribe()
                await self._load()
            finally:
                self._release()
        self.wake_all()

    async def _subscribe(self) -> None:
        if self._subscription is None:
            self._subscription = await self._bus.listen(LIVE_PREFIX + self.subject, self._received)
            # Once the server has answered, whatever it stores comes here.
            await self._bus.client.flush(timeout=5)

    async def _resync(self) -> None:
        async with self._lock:
            self._held = self._held or []
            self._must_repeat = True
            try:
                while self._must_repeat:
                    self._must_repeat = False
                    await self._before_resync()
                    await self._read_on()
            except OrchestraError as error:
                log.warning("a feed is not complete yet", topic=self.subject, error=error.message)
            finally:
                self._release()
        self.wake_all()

    async def _read_on(self) -> None:
        is_last = False
        while not is_last:
            page = await self._history.page(self.subject, sequence=self._next_sequence)
            for stored in page.messages:
                self._take(stored, is_repaired=True)
            is_last = page.is_last

    def _release(self) -> None:
        held, self._held = self._held or [], None
        for stored in held:
            self._take(stored, is_repaired=True)

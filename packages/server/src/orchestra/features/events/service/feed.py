"""One open feed as an HTTP answer: a lean ASGI response around a reader.

The response starts inside the application, so that policies and headers are applied; the long part
runs outside of it (`run_after`), where nothing of the request is kept in memory any more.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from orchestra.features.events.service import encoding
from orchestra.features.events.service.readers import Reader
from orchestra.foundation.auth import Credential, Permission, Role

# As ASGI defines them; the framework is not needed to write bytes.
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

HANDOVER = "orchestra.feed"

_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Owner(Protocol):
    """Who keeps the list of open feeds."""

    def opened(self, feed: "Feed") -> None: ...
    def ended(self, feed: "Feed") -> None: ...
    def watch(self, feed: "Feed", receive: Receive) -> None: ...


class Feed:
    """An open feed: whose it is, with which credential, and what it reads."""

    __slots__ = (
        "__weakref__",
        "caller",
        "credential",
        "has_sent",
        "is_dropped",
        "is_sending",
        "owner",
        "permission",
        "reader",
        "role",
        "stuck_for",
        "task",
        "watching",
    )

    def __init__(
        self,
        reader: Reader,
        *,
        owner: Owner,
        caller: str,
        credential: Credential,
        permission: Permission,
        role: Role,
    ) -> None:
        self.reader = reader
        self.owner = owner
        self.caller = caller
        self.credential = credential
        self.permission, self.role = permission, role
        self.task: asyncio.Task[Any] | None = None
        self.watching: Any = None
        self.is_sending = False
        self.stuck_for = 0  # sweeps during which the present write did not end
        self.has_sent = False
        self.is_dropped = False

    def drop(self) -> None:
        """Ends a feed whose other side takes nothing any more.

        Again at each sweep until it is over: a cancellation can be lost (see `Guard.stop`).
        """
        self.is_dropped = True
        if self.task is not None:
            self.task.cancel()

    async def run(self, receive: Receive, send: Send) -> None:
        """Writes until the reader ends, the feed is dropped or the caller leaves."""
        self.task = asyncio.current_task()
        self.owner.watch(self, receive)
        try:
            while not self.is_dropped and (chunk := await self.reader.next()) is not None:
                self.stuck_for, self.is_sending = 0, True
                await send({"type": "http.response.body", "body": chunk.sse, "more_body": True})
                self.is_sending, self.has_sent = False, True
            if self.is_dropped:
                return
            last = encoding.notice("closing", {"reason": self.reader.closing})
            body = last if self.reader.closing else b""
            self.stuck_for, self.is_sending = 0, True
            await send({"type": "http.response.body", "body": body, "more_body": False})
        except asyncio.CancelledError:
            if not self.is_dropped:
                raise
        finally:
            self.owner.ended(self)


class FeedResponse:
    """What a handler returns to answer with a feed."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        feed = self._feed
        feed.owner.opened(feed)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        except BaseException:
            feed.owner.ended(feed)
            raise
        handover: list[Feed] | None = scope.get(HANDOVER)
        if handover is None:
            await feed.run(receive, send)
        else:
            handover.append(feed)

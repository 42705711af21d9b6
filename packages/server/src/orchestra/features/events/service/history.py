"""Reads what JetStream keeps of a subject, many messages for each request and without a consumer.

Uses batched direct get (NATS architecture decision 31): one request, then messages, then a mark.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from orchestra.foundation import ids
from orchestra.foundation.errors import Unavailable
from orchestra.foundation.messaging import EVENTS, Bus

PAGE_MESSAGES = 256
PAGE_BYTES = 512 * 1024
READ_TIMEOUT_SECONDS = 5.0
# Reads at the same time; a storm of reconnecting readers waits rather than fills the memory.
CONCURRENT_READS = 16


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as the stream has it; `previous` is the one before it on its subject, if known."""

    sequence: int
    subject: str
    payload: bytes
    previous: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Messages in order; `next_sequence` goes on after them; `is_last` if there were no more."""

    messages: list[Stored]
    next_sequence: int
    is_last: bool


@dataclass(slots=True)
class _Read:
    done: "asyncio.Future[bool]"
    messages: list[Stored] = field(default_factory=list[Stored])


class History:
    """The stream EVENTS, read forwards by subject (wildcards allowed)."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._reads: dict[str, _Read] = {}
        self._prefix = ""
        self._subscription: Subscription | None = None
        self._opening = asyncio.Lock()
        self._slots = asyncio.Semaphore(CONCURRENT_READS)
        self._bounds = _Coalesced(self._read_bounds)

    async def page(self, subject: str, *, sequence: int) -> Page:
        """Up to 256 messages of `subject` from `sequence` on; raises Unavailable without NATS."""
        async with self._slots:
            try:
                async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                    return await self._read(subject, max(1, sequence))
            except (OSError, nats.errors.Error, TimeoutError) as error:
                raise Unavailable("NATS does not answer", retry_after=1) from error

    async def bounds(self) -> tuple[int, int]:
        """The stream's first and last sequence at a moment after this call; raises Unavailable."""
        try:
            return await self._bounds.get()
        except (OSError, nats.errors.Error, TimeoutError) as error:
            raise Unavailable("NATS does not answer", retry_after=1) from error

    async def close(self) -> None:
        if self._subscription is not None and self._bus.is_connected:
            await self._subscription.unsubscribe()

    async def _read(self, subject: str, sequence: int) -> Page:
        await self._listen()
        token = ids.short_id()
        read = self._reads[token] = _Read(asyncio.get_running_loop().create_future())
        request = {
            "seq": sequence,
            "next_by_subj": subject,
            "batch": PAGE_MESSAGES,
            "max_bytes": PAGE_BYTES,
        }
        try:
            await self._bus.client.publish(
                f"$JS.API.DIRECT.GET.{EVENTS}",
                json.dumps(request).encode(),
                reply=f"{self._prefix}.{token}",
            )
            is_last = await read.done
        finally:
            del self._reads[token]
        following = read.messages[-1].sequence + 1 if read.messages else sequence
        return Page(read.messages, following, is_last)

    async def _listen(self) -> None:
        async with self._opening:
            if self._subscription is None:
                self._prefix = self._bus.client.new_inbox()
                self._subscription = await self._bus.listen(
                    f"{self._prefix}.*", self._received, pending_limit=1_000_000
                )

    async def _received(self, message: Msg) -> None:
        read = self._reads.get(message.subject.rpartition(".")[2])
        if read is None or read.done.done():
            return
        headers = message.headers or {}
        status = headers.get("Status")
        if status is None:
            sequence = int(headers["Nats-Sequence"])
            read.messages.append(Stored(sequence, headers["Nats-Subject"], message.data))
        elif status == "204":
            read.done.set_result(headers.get("Nats-Num-Pending") == "0")
        elif status == "404":
            read.done.set_result(True)
        else:
            read.done.set_exception(
                nats.errors.Error(f"direct get: {status} {headers.get('Description')}")
            )

    async def _read_bounds(self) -> tuple[int, int]:
        async with asyncio.timeout(READ_TIMEOUT_SECONDS):
            reply = await self._bus.client.request(f"$JS.API.STREAM.INFO.{EVENTS}", b"", timeout=5)
        state: dict[str, int] = json.loads(reply.data).get("state", {})
        return int(state.get("first_seq", 0)), int(state.get("last_seq", 0))


class _Coalesced:
    """Joins callers: one that comes while a call is under way shares the next one, not that one."""

    def __init__(self, call: Callable[[], Awaitable[tuple[int, int]]]) -> None:
        self._call = call
        self._lock = asyncio.Lock()
        self._started = 0
        self._result: tuple[int, int] = (0, 0)

    async def get(self) -> tuple[int, int]:
        seen = self._started
        async with self._lock:
            if self._started <= seen:
                self._started += 1
                try:
                    self._result = await self._call()
                except BaseException:
                    self._started -= 1
                    raise
            return self._result

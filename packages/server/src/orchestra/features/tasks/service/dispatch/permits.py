"""Hears from JetStream that work waits: one pull consumer for each queue, shared by all.

A permit is asked for only while an agent has a free slot. It says "there is work"; what, the
database says, so a lost or repeated permit costs nothing but an empty claim.
"""

import asyncio

import msgspec
import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import api
from nats.js.errors import Error as JetStreamError

from orchestra.foundation.messaging import TASKS, Bus

log = structlog.get_logger(__name__)

PULL_SECONDS = 30.0
ACK_WAIT_SECONDS = 30.0
# A consumer that nobody pulls from goes away by itself.
IDLE_SECONDS = 600.0
RETRY_SECONDS = 0.5
_REQUEST = msgspec.json.encode({"batch": 1, "expires": int(PULL_SECONDS * 1e9)})


class Permits:
    """Takes permits, one at a time for each queue."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._prefix = ""
        self._subscription: Subscription | None = None
        self._pulls: dict[str, asyncio.Future[Msg | None]] = {}
        self._known: set[str] = set()

    async def start(self) -> None:
        self._prefix = self._bus.client.new_inbox()
        self._subscription = await self._bus.listen(f"{self._prefix}.*", self._received)
        self._bus.on_reconnect(self._start_anew)

    async def take(self, queue: str) -> Msg | None:
        """Waits for a permit, up to 30 s; the caller acknowledges it or gives it back."""
        try:
            if queue not in self._known:
                await self._create(queue)
            return await self._pull(queue)
        except (OSError, TimeoutError, nats.errors.Error, JetStreamError) as error:
            self._known.discard(queue)
            log.warning("no permits", queue=queue, error=str(error) or type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)
            return None

    async def _pull(self, queue: str) -> Msg | None:
        pull: asyncio.Future[Msg | None] = asyncio.get_running_loop().create_future()
        self._pulls[queue] = pull
        try:
            await self._bus.client.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{TASKS}.{_name(queue)}",
                _REQUEST,
                reply=f"{self._prefix}.{queue}",
            )
            async with asyncio.timeout(PULL_SECONDS + 5):
                message = await pull
        finally:
            del self._pulls[queue]
        if message is None or not message.reply:
            return self._without_permit(queue, message)
        return message

    def _without_permit(self, queue: str, message: Msg | None) -> None:
        status = (message.headers or {}).get("Status") if message else None
        if status not in (None, "404", "408"):  # neither empty nor expired: the consumer is gone
            self._known.discard(queue)

    async def _create(self, queue: str) -> None:
        config = api.ConsumerConfig(
            durable_name=_name(queue),
            filter_subject=f"tasks.*.{queue}",
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_SECONDS,
            max_waiting=512,
            inactive_threshold=IDLE_SECONDS,
        )
        await self._bus.jetstream.add_consumer(TASKS, config)  # pyright: ignore[reportUnknownMemberType] - **params
        self._known.add(queue)

    async def _received(self, message: Msg) -> None:
        # A permit comes under its own subject, a status under ours: both end in the queue.
        pull = self._pulls.get(message.subject.rpartition(".")[2])
        if pull is not None and not pull.done():
            pull.set_result(message)
        elif message.reply:
            await message.nak()

    async def _start_anew(self) -> None:
        """The server may have come back without our consumers, and has forgotten what we asked."""
        self._known.clear()
        for pull in self._pulls.values():
            if not pull.done():
                pull.set_result(None)


def _name(queue: str) -> str:
    return f"queue-{queue}"

"""NATS JetStream: the conveyor. What it carries is rebuilt from PostgreSQL when its store is lost.

Streams as the specification names them; creating one that exists is not an error, and after every
reconnect they are created again, because the server may have come back with an empty store.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence

import nats
import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NoStreamResponseError
from nats.js.errors import Error as JetStreamError

from orchestra.foundation.concurrency import Guard
from orchestra.foundation.errors import Unavailable
from orchestra.foundation.messaging_client import FastClient, Message, Outcome, PubAck
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

TASKS, EVENTS, METRICS, LOGS = "TASKS", "EVENTS", "METRICS", "LOGS"
# What EVENTS has stored is sent on under this prefix, with its sequence: who listens there before
# reading the stream misses nothing, and knows where to go on after a loss.
LIVE_PREFIX = "live."
# Said when a stream was made anew under an open connection, which is like a reconnect to all.
STREAMS_RENEWED = "control.streams"
# Longer than any reconnect, so that what is sent again after one is recognised.
DUPLICATE_WINDOW_SECONDS = 120
PUBLISH_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 10.0
STREAM_EXISTS = 10058

__all__ = ["Bus", "Message", "Outcome", "PubAck", "stream_configs"]

Callback = Callable[[], Awaitable[None]]


class Bus:
    """One connection to NATS with our four streams."""

    def __init__(self, client: FastClient, settings: Settings, guard: Guard) -> None:
        self.client = client
        self.jetstream: JetStreamContext = client.jetstream(  # pyright: ignore[reportUnknownMemberType]
            timeout=PUBLISH_TIMEOUT_SECONDS
        )
        self._settings = settings
        self._guard = guard
        self._reconnected: list[Callback] = []
        self._stream_epoch = ""

    @classmethod
    async def connect(cls, settings: Settings, *, name: str) -> "Bus":
        """Connects and creates the streams; raises Unavailable if NATS does not answer in time."""
        client, guard = FastClient(), Guard()
        bus = cls(client, settings, guard)
        try:
            # Bounded here: a client that reconnects for ever also connects for ever.
            await asyncio.wait_for(bus._connect(name), timeout=CONNECT_TIMEOUT_SECONDS)
            await bus.ensure_streams()
            await bus.listen(STREAMS_RENEWED, bus._on_renewed)
        except (OSError, nats.errors.Error, JetStreamError, TimeoutError) as error:
            await client.close()
            raise Unavailable("NATS does not answer", retry_after=2) from error
        return bus

    async def _connect(self, name: str) -> None:
        await self.client.connect(
            self._settings.nats_url,
            name=name,
            connect_timeout=2,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=self._settings.nats_reconnect_seconds,  # pyright: ignore[reportArgumentType] - may be a fraction
            ping_interval=10,
            max_outstanding_pings=2,
            reconnected_cb=self._on_reconnect,
            error_cb=_log_error,
        )
        await self.client.listen_for_acks()

    @property
    def is_connected(self) -> bool:
        return self.client.is_connected

    @property
    def stream_epoch(self) -> str:
        """Names this life of the EVENTS stream; another value means that sequences began anew."""
        return self._stream_epoch

    def on_reconnect(self, callback: Callback) -> None:
        """Calls `callback` each time the connection is back and the streams exist again."""
        self._reconnected.append(callback)

    async def close(self) -> None:
        await self._guard.stop()
        try:
            await asyncio.wait_for(self.client.drain(), timeout=3)
        except (TimeoutError, nats.errors.Error):
            await self.client.close()

    async def publish(self, message: Message) -> PubAck:
        """Stores one message in its stream, acknowledged; raises Unavailable otherwise."""
        (outcome,) = await self.publish_window([message])
        if isinstance(outcome, PubAck):
            return outcome
        raise Unavailable("NATS does not answer", retry_after=2) from outcome

    async def publish_window(self, messages: Sequence[Message]) -> list[Outcome]:
        """Stores messages in their streams, in order; says of each what JetStream answered."""
        outcomes = await self.client.publish_window(messages, seconds=PUBLISH_TIMEOUT_SECONDS)
        if not any(isinstance(outcome, NoStreamResponseError) for outcome in outcomes):
            return outcomes
        try:
            await self.ensure_streams()
        except (nats.errors.Error, JetStreamError, TimeoutError) as error:
            log.warning("streams are not there", error=str(error) or type(error).__name__)
            return outcomes
        return await self.client.publish_window(messages, seconds=PUBLISH_TIMEOUT_SECONDS)

    async def publish_soon(self, *messages: Message) -> None:
        """Hands messages to the connection without waiting for JetStream.

        For what the database makes good when it is lost; while NATS is away it is dropped.
        """
        if not messages or not self.client.is_connected:
            return
        try:
            await self.client.publish_unanswered(messages)
        except (OSError, nats.errors.Error) as error:
            log.warning("messages were dropped", error=str(error) or type(error).__name__)

    async def announce(self, subject: str, payload: bytes) -> None:
        """Sends to whoever listens now; nothing is stored.

        Raises Unavailable while disconnected.
        """
        if not self.client.is_connected:
            raise Unavailable("NATS does not answer", retry_after=2)
        await self.client.publish(subject, payload)

    async def listen(
        self,
        subject: str,
        callback: Callable[[Msg], Awaitable[None]],
        *,
        pending_limit: int = 65_536,
    ) -> Subscription:
        """Calls `callback` with each message that arrives on `subject` from now on."""
        return await self.client.subscribe(  # pyright: ignore[reportUnknownMemberType]
            subject, cb=callback, pending_msgs_limit=pending_limit
        )

    async def ensure_streams(self) -> None:
        """Creates what is missing, and learns in which life the EVENTS stream is."""
        for config in stream_configs(self._settings):
            try:
                await self.jetstream.add_stream(config)  # pyright: ignore[reportUnknownMemberType]
            except APIError as error:
                if error.err_code != STREAM_EXISTS:
                    raise
                await self.jetstream.update_stream(config)  # pyright: ignore[reportUnknownMemberType]
        self._stream_epoch = await self._read_stream_epoch()

    async def _read_stream_epoch(self) -> str:
        # nats-py's StreamInfo drops `created`, which tells one life of a stream from the next.
        reply = await self.client.request(
            f"$JS.API.STREAM.INFO.{EVENTS}", b"", timeout=PUBLISH_TIMEOUT_SECONDS
        )
        created: str = json.loads(reply.data)["created"]
        return "".join(character for character in created if character.isdigit())

    async def _on_reconnect(self) -> None:
        # In a task of its own: the client waits for this callback before it reads replies.
        self._guard.spawn("nats-after-reconnect", self._after_reconnect())

    async def _on_renewed(self, _message: Msg) -> None:
        await self._on_reconnect()

    async def _after_reconnect(self) -> None:
        for attempt in range(30):
            try:
                await self.ensure_streams()
                break
            except (nats.errors.Error, TimeoutError) as error:
                log.warning("streams are not there yet", attempt=attempt, error=str(error))
                await asyncio.sleep(0.5)
        for callback in self._reconnected:
            await callback()


def stream_configs(settings: Settings) -> list[api.StreamConfig]:
    """The four streams of the specification."""
    kept = api.RetentionPolicy.LIMITS
    return [
        _stream(settings, TASKS, "tasks.>", api.RetentionPolicy.WORK_QUEUE),
        _stream(settings, EVENTS, "events.>", kept),
        _stream(settings, METRICS, "metrics.>", kept),
        _stream(settings, LOGS, "logs.>", kept),
    ]


def _stream(
    settings: Settings, name: str, subject: str, retention: api.RetentionPolicy
) -> api.StreamConfig:
    return api.StreamConfig(
        name=name,
        subjects=[subject],
        retention=retention,
        storage=api.StorageType.FILE,
        max_age=settings.stream_max_age_hours * 3600,
        max_bytes=settings.stream_max_bytes,
        num_replicas=settings.nats_replicas,
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
        # A permit says only that work waits, so the newest of a queue stands for all before it.
        max_msgs_per_subject=1 if retention is api.RetentionPolicy.WORK_QUEUE else -1,
        allow_direct=True,
        republish=api.RePublish(src=subject, dest=LIVE_PREFIX + subject)
        if name == EVENTS
        else None,
    )


async def _log_error(error: Exception) -> None:
    log.warning("nats connection", error=str(error) or type(error).__name__)

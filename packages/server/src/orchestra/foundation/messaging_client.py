"""nats-py where every task passes through it: headers, publishing and acknowledgements, quicker.

The library's own ways cost a hundred microseconds for each message that JetStream acknowledges: a
future, a semaphore, a random inbox and a queue to a task of its own. Here many messages go out
as one window, and what comes back is counted as it is read.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError, NoStreamResponseError

# More than this of what is written waits for the socket.
FLUSH_BYTES = 1024 * 1024
# While the socket holds less than this, more is handed to it at once.
DIRECT_BYTES = 64 * 1024
_NO_STREAM = b"NATS/1.0 503"


@dataclass(frozen=True, slots=True)
class Message:
    """What is published: a repeated `message_id` within two minutes is stored once."""

    subject: str
    payload: bytes
    message_id: str | None = None


class PubAck(msgspec.Struct, frozen=True, gc=False):
    """JetStream has the message, under this number; `duplicate`: it had it before."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False


Outcome = PubAck | Exception


class _Answer(PubAck, frozen=True, gc=False):
    error: dict[str, Any] | None = None


class _Window:
    """Messages sent together, and what became of each."""

    __slots__ = ("done", "left", "outcomes")

    def __init__(self, size: int) -> None:
        self.outcomes: list[Outcome | None] = [None] * size
        self.left = size
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, place: int, outcome: Outcome) -> None:
        if self.outcomes[place] is None:
            self.outcomes[place] = outcome
            self.left -= 1
            if not self.left and not self.done.done():
                self.done.set_result(None)


class FastClient(Client):
    """A connection that publishes in windows. What is not overridden is nats-py's."""

    def __init__(self) -> None:
        super().__init__()
        self._ack_sid = 0
        self._ack_prefix = ""
        self._sent = 0
        self._unanswered: dict[bytes, tuple[_Window, int]] = {}

    async def listen_for_acks(self) -> None:
        """Once for each connection, before the first window."""
        self._ack_prefix = self.new_inbox() + "."
        subscription = await self.subscribe(self._ack_prefix + "*")  # pyright: ignore[reportUnknownMemberType]
        self._ack_sid = subscription._id  # pyright: ignore[reportPrivateUsage]

    async def publish_window(self, messages: Sequence[Message], *, seconds: float) -> list[Outcome]:
        """Sends all without waiting in between; what JetStream said of each, in order.

        TimeoutError for those that it has not answered within `seconds`.
        """
        window = _Window(len(messages))
        keys = [self._begin(window, place) for place in range(len(messages))]
        try:
            async with asyncio.timeout(seconds):
                for place, message in enumerate(messages):
                    await self._put(window, place, message, keys[place])
                await self._kick()
                await window.done
        except (TimeoutError, OSError, nats.errors.Error) as error:
            failed = error
            return [outcome or failed for outcome in window.outcomes]
        finally:
            for key in keys:
                self._unanswered.pop(key, None)
        return [outcome or TimeoutError() for outcome in window.outcomes]

    async def publish_unanswered(self, messages: Sequence[Message]) -> None:
        """Hands messages to the connection; raises what nats-py raises when it cannot take them.

        One that is too large does not keep the others back.
        """
        refused: nats.errors.Error | None = None
        for message in messages:
            try:
                command = _command(message, b"", self.max_payload)
            except nats.errors.Error as error:
                refused = error
            else:
                await self._write(command, len(message.payload))
        await self._kick()
        if refused is not None:
            raise refused

    def _begin(self, window: _Window, place: int) -> bytes:
        self._sent += 1
        key = b"%d" % self._sent
        self._unanswered[key] = (window, place)
        return key

    async def _put(self, window: _Window, place: int, message: Message, key: bytes) -> None:
        try:
            command = _command(message, self._ack_prefix.encode() + key, self.max_payload)
        except nats.errors.Error as error:
            window.settle(place, error)
        else:
            await self._write(command, len(message.payload))

    async def _write(self, command: bytes, size: int) -> None:
        if self.is_closed:
            raise nats.errors.ConnectionClosedError
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += size
        self._pending.append(command)
        self._pending_data_size += len(command)
        if self._pending_data_size > FLUSH_BYTES:
            await self._flush_pending()

    async def _kick(self) -> None:
        """Writes what waits now: by way of the flusher it would leave two turns of the loop later,
        after whatever else is ready. When the socket is slow the flusher has it, and waits.
        """
        if self._transport is not None and self._is_writable():
            commands, self._pending, self._pending_data_size = self._pending, [], 0
            self._transport.writelines(commands)
        elif self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

    def _is_writable(self) -> bool:
        writer: Any = getattr(self._transport, "_io_writer", None)  # none over WebSockets
        if not self.is_connected or writer is None or writer.is_closing():
            return False
        return writer.transport.get_write_buffer_size() < DIRECT_BYTES

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        if sid != self._ack_sid:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        found = self._unanswered.pop(bytes(subject).rpartition(b".")[2], None)
        if found is not None:
            window, place = found
            window.settle(place, _outcome(data, headers))

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        """nats-py looks at every character, which took 40 % of the time of a token."""
        headers: dict[str, str] = {}
        for line in raw.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            if colon:
                headers[name.strip()] = value.strip()
        return headers


def _outcome(data: bytes, headers: bytes | None) -> Outcome:
    if headers and headers.startswith(_NO_STREAM):
        return NoStreamResponseError()
    try:
        answer = msgspec.json.decode(data, type=_Answer)
    except msgspec.MsgspecError as error:
        return error
    return answer if answer.error is None else APIError(**_known(answer.error))


def _known(error: dict[str, Any]) -> dict[str, Any]:
    return {name: error.get(name) for name in ("code", "description", "err_code")}


def _command(message: Message, reply: bytes, max_payload: int) -> bytes:
    """HPUB or PUB with everything that belongs to it.

    Raises MaxPayloadError, or BadSubjectError for what would break the protocol's lines.
    """
    subject, payload, name = message.subject, message.payload, message.message_id or ""
    if not (subject.isprintable() and name.isprintable()) or " " in subject or not subject:
        raise nats.errors.BadSubjectError
    if len(payload) > max_payload:
        raise nats.errors.MaxPayloadError
    to = subject.encode() + b" " + reply if reply else subject.encode()
    if not name:
        return b"PUB %b %d\r\n%b\r\n" % (to, len(payload), payload)
    header = b"NATS/1.0\r\nNats-Msg-Id: %b\r\n\r\n" % name.encode()
    size = len(header)
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (to, size, size + len(payload), header, payload)

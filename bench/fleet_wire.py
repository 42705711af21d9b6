"""gRPC as a client that costs next to nothing: HTTP/2 frames on a socket, no task for each call.

Ten thousand agents share two cores with what they measure, and gRPC's own client costs as much as
the server. It is for loopback, and for servers that keep the protocol: header blocks that come are
not decoded (a status other than OK is an end like any other), and windows are opened once and wide.
"""

import asyncio
import struct
from collections.abc import Callable, Mapping
from typing import cast

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
FRAME_HEAD = 9
STREAM_WINDOW_SETTING, STREAM_WINDOW_BYTES = 4, 1 << 24
MORE_CONNECTION_BYTES = 1 << 30
CANCEL = struct.pack(">I", 8)
# Of the static table: `:method: POST`, `:scheme: http`.
POST_HTTP = b"\x83\x86"
SHORT = 127  # lengths below it are one byte
MESSAGE_HEAD = struct.Struct(">BI")

OnMessage = Callable[[bytes], None]
OnEnd = Callable[[], None]


class Call:
    """One call on a connection: messages both ways until `on_end`."""

    __slots__ = ("_buffer", "connection", "number", "on_end", "on_message")

    def __init__(
        self, connection: "Connection", number: int, on_message: OnMessage, on_end: OnEnd
    ) -> None:
        self.connection, self.number = connection, number
        self.on_message, self.on_end = on_message, on_end
        self._buffer = b""

    def send(self, message: bytes, *, is_last: bool = False) -> None:
        framed = MESSAGE_HEAD.pack(0, len(message)) + message
        self.connection.write(DATA, END_STREAM if is_last else 0, self.number, framed)

    def cancel(self) -> None:
        """Ends the call from this side; `on_end` is not called."""
        if self.connection.calls.pop(self.number, None) is not None:
            self.connection.write(RESET, 0, self.number, CANCEL)

    def receive(self, content: bytes) -> None:
        """Takes a part of the stream, and hands on the messages that are whole."""
        buffer = self._buffer + content if self._buffer else content
        while len(buffer) >= MESSAGE_HEAD.size:
            _, size = MESSAGE_HEAD.unpack_from(buffer)
            if len(buffer) < MESSAGE_HEAD.size + size:
                break
            self.on_message(buffer[MESSAGE_HEAD.size : MESSAGE_HEAD.size + size])
            buffer = buffer[MESSAGE_HEAD.size + size :]
        self._buffer = buffer


class Connection(asyncio.Protocol):
    """One connection of one agent."""

    __slots__ = ("_buffer", "_metadata", "_next", "_on_lost", "_transport", "calls")

    def __init__(self, metadata: bytes, on_lost: OnEnd) -> None:
        self._metadata, self._on_lost = metadata, on_lost
        self._buffer = b""
        self._next = 1
        self._transport: asyncio.WriteTransport | None = None
        self.calls: dict[int, Call] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = writable = cast("asyncio.WriteTransport", transport)
        window = struct.pack(">HI", STREAM_WINDOW_SETTING, STREAM_WINDOW_BYTES)
        settings = frame(SETTINGS, 0, 0, window)
        more = frame(WINDOW, 0, 0, struct.pack(">I", MORE_CONNECTION_BYTES))
        writable.write(PREFACE + settings + more)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end_all()
        self._on_lost()

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Drops it without waiting for what is not written; `on_lost` follows."""
        if self._transport is not None:
            self._transport.abort()

    def call(self, path: bytes, *, on_message: OnMessage, on_end: OnEnd) -> Call:
        """Begins a call; `path` is an encoded header, see `literal`."""
        call = Call(self, self._next, on_message, on_end)
        self.calls[call.number] = call
        self._next += 2
        self.write(HEADERS, END_HEADERS, call.number, POST_HTTP + path + self._metadata)
        return call

    def write(self, kind: int, flags: int, stream: int, content: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame(kind, flags, stream, content))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        place = 0
        while len(buffer) - place >= FRAME_HEAD:
            size = int.from_bytes(buffer[place : place + 3], "big")
            end = place + FRAME_HEAD + size
            if len(buffer) < end:
                break
            stream = int.from_bytes(buffer[place + 5 : place + 9], "big")
            content = buffer[place + FRAME_HEAD : end]
            self._receive(buffer[place + 3], buffer[place + 4], stream, content)
            place = end
        self._buffer = buffer[place:]

    def _receive(self, kind: int, flags: int, stream: int, content: bytes) -> None:
        call = self.calls.get(stream)
        if kind == DATA and call is not None:
            call.receive(content[1 : len(content) - content[0]] if flags & PADDED else content)
        if kind == SETTINGS and not flags & ACK:
            self.write(SETTINGS, ACK, 0, b"")
        elif kind == PING and not flags & ACK:
            self.write(PING, ACK, 0, content)
        elif kind == GOAWAY:
            self.close()
        elif kind == RESET or (kind in (DATA, HEADERS) and flags & END_STREAM):
            self._end(stream)

    def _end(self, stream: int) -> None:
        call = self.calls.pop(stream, None)
        if call is not None:
            call.on_end()

    def _end_all(self) -> None:
        for stream in list(self.calls):
            self._end(stream)


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, flags, stream) + content


def literal(name: str, value: str) -> bytes:
    """A header that is in no table (RFC 7541, 6.2.2)."""
    return b"\x00" + _text(name) + _text(value)


def headers(values: Mapping[str, str]) -> bytes:
    return b"".join(literal(name, value) for name, value in values.items())


def _text(value: str) -> bytes:
    content = value.encode()
    length, head = len(content), bytearray()
    if length < SHORT:
        head.append(length)
    else:
        head.append(SHORT)
        rest = length - SHORT
        while rest >= 0x80:
            head.append(rest % 0x80 + 0x80)
            rest //= 0x80
        head.append(rest)
    return bytes(head) + content

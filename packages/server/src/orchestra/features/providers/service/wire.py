"""What every provider's wire format does: make a request, read an answer or a stream, name errors.

Inside, everything is OpenAI's chat completion format; a wire translates from and to its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from orchestra.features.providers.types import Target, Usage

# One event of a stream; more is not a token but an attack.
MAX_EVENT_BYTES = 4 * 1024**2
# Counts beyond PostgreSQL's integer are not believed.
MAX_TOKENS = 2**31 - 1

Fields = dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A chat completion as asked for; its fields are unparsed, to be passed on as they are."""

    fields: Fields
    model: str  # as the provider names it
    stream: bool
    wants_usage: bool  # the caller asked for the usage at the end of the stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What is sent to a provider."""

    url: str
    headers: Mapping[str, str] = field(repr=False)  # the key is among them
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderError:
    """What a provider said was wrong, in OpenAI's terms."""

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None


class StreamReader(Protocol):
    """Turns a provider's stream into ours, piece by piece."""

    usage: Usage

    def feed(self, chunk: bytes) -> bytes:
        """Whole events of ours for what has arrived; raises StreamBroken or ProviderFailed."""
        ...

    def end(self) -> bytes:
        """What is still to be said at the end; raises StreamBroken if the stream is incomplete."""
        ...


class Wire(Protocol):
    """One provider's format."""

    def request(self, target: Target, chat: ChatRequest) -> Outgoing:
        """Raises InvalidInput for what the provider cannot do."""
        ...

    def reader(self, chat: ChatRequest) -> StreamReader: ...

    def answer(self, body: bytes) -> tuple[bytes, Usage]:
        """A whole answer in our format; raises ProviderFailed."""
        ...

    def error(self, body: bytes) -> ProviderError | None:
        """What an error's body says, if anything."""
        ...

    def models_request(self, target: Target) -> Outgoing: ...


def tokens(count: int | None) -> int:
    """A believable count."""
    return min(max(count or 0, 0), MAX_TOKENS)


class EventBuffer:
    """Cuts a stream of bytes into whole server-sent events."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """The whole events so far, ending in an empty line; raises ValueError on an endless one."""
        text = self._rest + chunk
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        cut = text.rfind(b"\n\n") + 2
        if cut == 1:
            cut = 0
        self._rest = text[cut:]
        if len(self._rest) > MAX_EVENT_BYTES:
            raise ValueError("an event has no end")
        return text[:cut]

    @property
    def is_empty(self) -> bool:
        return not self._rest.strip()


def event_payloads(events: bytes) -> list[bytes]:
    """The JSON of each whole event; comments and other fields are skipped."""
    return [
        line[5:].strip()
        for event in events.split(b"\n\n")
        for line in event.split(b"\n")
        if line.startswith(b"data:")
    ]

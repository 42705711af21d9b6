"""OpenAI's format and all that speaks it: bytes are passed on, only usage is looked at."""

import re

import msgspec

from orchestra.features.providers.errors import ProviderFailed, StreamBroken
from orchestra.features.providers.service.wire import (
    ChatRequest,
    EventBuffer,
    Fields,
    Outgoing,
    ProviderError,
    event_payloads,
    tokens,
)
from orchestra.features.providers.types import Target, Usage
from orchestra.foundation.errors import FieldError, InvalidInput

DONE = b"data: [DONE]\n\n"
_INCLUDE_USAGE = msgspec.Raw(b'{"include_usage":true}')
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
# What limits an answer: OpenAI's two names, and llama.cpp's own, which is stronger there.
_LIMITS = ("max_tokens", "max_completion_tokens", "n_predict")
_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"')


class _WireUsage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(msgspec.Struct):
    """The parts of an answer or a chunk that we look at."""

    usage: _WireUsage | None = None
    choices: list[msgspec.Raw] | None = None


class _Error(msgspec.Struct):
    error: dict[str, object] | str | None = None
    message: str | None = None
    detail: object = None


class OpenAIWire:
    """Stateless; `stream_options` is left out for servers that do not know it."""

    def __init__(self, *, asks_for_usage: bool = True) -> None:
        self._asks_for_usage = asks_for_usage

    def request(self, target: Target, chat: ChatRequest) -> Outgoing:
        fields = {**chat.fields, "model": msgspec.Raw(msgspec.json.encode(chat.model))}
        if chat.stream and self._asks_for_usage and not chat.wants_usage:
            fields["stream_options"] = _INCLUDE_USAGE
        if target.max_tokens is not None:
            fields = _bounded(fields, target.max_tokens)
        return Outgoing(
            url=f"{target.base_url}/chat/completions",
            headers=_headers(target),
            body=msgspec.json.encode(fields),
        )

    def reader(self, chat: ChatRequest) -> "OpenAIStream":
        return OpenAIStream(keep_usage=chat.wants_usage)

    def answer(self, body: bytes) -> tuple[bytes, Usage]:
        try:
            found = msgspec.json.decode(body, type=_Answer)
        except msgspec.MsgspecError as error:
            raise ProviderFailed("The provider's answer is not a chat completion.") from error
        if found.choices is None:
            raise ProviderFailed("The provider's answer is not a chat completion.")
        return body, _usage(found.usage)

    def error(self, body: bytes) -> ProviderError | None:
        try:
            found = msgspec.json.decode(body, type=_Error)
        except msgspec.MsgspecError:
            return None
        if isinstance(found.error, dict):
            texts = {key: value for key, value in found.error.items() if isinstance(value, str)}
            return ProviderError(
                message=texts.get("message", ""),
                type=texts.get("type"),
                code=texts.get("code"),
                param=texts.get("param"),
            )
        return ProviderError(message=found.error or found.message or str(found.detail or ""))

    def models_request(self, target: Target) -> Outgoing:
        return Outgoing(url=f"{target.base_url}/models", headers=_headers(target), body=b"")


class OpenAIStream:
    """Passes events on, and takes the usage from the one that carries it."""

    def __init__(self, *, keep_usage: bool) -> None:
        self.usage = Usage()
        self._keep_usage = keep_usage
        self._buffer = EventBuffer()
        self._is_done = False
        self._is_finished = False

    def feed(self, chunk: bytes) -> bytes:
        try:
            events = self._buffer.feed(chunk)
        except ValueError as error:
            raise StreamBroken from error
        if not self._is_finished and _FINISHED.search(events):
            self._is_finished = True
        if _USAGE.search(events):
            events = self._take_usage(events)
        if b"[DONE]" in events[-16:]:
            self._is_done = True
        return events

    def end(self) -> bytes:
        if self._is_done:
            return b""
        if not self._is_finished or not self._buffer.is_empty:
            raise StreamBroken
        # Some servers close the stream without saying that it is the end.
        return DONE

    def _take_usage(self, events: bytes) -> bytes:
        return b"".join(
            event + b"\n\n"
            for event in events.split(b"\n\n")[:-1]
            if not _USAGE.search(event) or self._note(event)
        )

    def _note(self, event: bytes) -> bool:
        """Notes the usage; says whether the caller should see the event."""
        for payload in event_payloads(event):
            try:
                found = msgspec.json.decode(payload, type=_Answer)
            except msgspec.MsgspecError:
                return True
            if found.usage is not None:
                self.usage = _usage(found.usage)
                if not found.choices:
                    return self._keep_usage
        return True


def _bounded(fields: Fields, most: int) -> Fields:
    """The fields with one limit on the answer, at most `most`; raises InvalidInput.

    A small model that rambles has no end of its own, and would hold one of few slots for minutes.
    """
    asked = [_count(name, fields[name]) for name in _LIMITS if name in fields]
    limit = min([most, *(count for count in asked if count > 0)])
    kept = {name: value for name, value in fields.items() if name not in _LIMITS}
    return {**kept, "max_tokens": msgspec.Raw(msgspec.json.encode(limit))}


def _count(name: str, value: msgspec.Raw) -> int:
    """Zero for null; llama.cpp takes what is below zero for no limit."""
    try:
        return msgspec.json.decode(value, type=int | None) or 0
    except msgspec.MsgspecError as error:
        message = "Use a whole number of tokens."
        raise InvalidInput(f"{name}: {message}", fields=[FieldError(name, message)]) from error


def _usage(found: _WireUsage | None) -> Usage:
    if found is None:
        return Usage()
    return Usage(tokens(found.prompt_tokens), tokens(found.completion_tokens))


def _headers(target: Target) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if target.key:
        headers["Authorization"] = f"Bearer {target.key}"
    return headers

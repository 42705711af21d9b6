"""Anthropic's messages API, answered in OpenAI's chat completion format."""

from typing import Any

import msgspec

from orchestra.features.providers.errors import ProviderFailed, StreamBroken
from orchestra.features.providers.service.anthropic_request import translate
from orchestra.features.providers.service.openai_wire import DONE
from orchestra.features.providers.service.wire import (
    ChatRequest,
    EventBuffer,
    Outgoing,
    ProviderError,
    event_payloads,
    tokens,
)
from orchestra.features.providers.types import Target, Usage
from orchestra.foundation import clock

VERSION = "2023-06-01"
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class _WireUsage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    id: str = ""
    name: str = ""
    input: Any = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Error(msgspec.Struct):
    type: str = ""
    message: str = ""


class _Message(msgspec.Struct):
    id: str = ""
    model: str = ""
    content: list[_Block] = []
    stop_reason: str | None = None
    usage: _WireUsage | None = None


class _Event(msgspec.Struct):
    """Any event of a stream; which fields are set depends on `type`."""

    type: str
    message: _Message | None = None
    index: int = 0
    content_block: _Block | None = None
    delta: _Block | None = None
    usage: _WireUsage | None = None
    error: _Error | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error


class AnthropicWire:
    """Stateless."""

    def request(self, target: Target, chat: ChatRequest) -> Outgoing:
        return Outgoing(
            url=f"{target.base_url}/messages", headers=_headers(target), body=translate(chat)
        )

    def reader(self, chat: ChatRequest) -> "AnthropicStream":
        return AnthropicStream(keep_usage=chat.wants_usage)

    def answer(self, body: bytes) -> tuple[bytes, Usage]:
        try:
            message = msgspec.json.decode(body, type=_Message)
        except msgspec.MsgspecError as error:
            raise ProviderFailed("The provider's answer is not a message.") from error
        usage = Usage()
        _count(usage, message.usage)
        return msgspec.json.encode(_completion(message, usage)), usage

    def error(self, body: bytes) -> ProviderError | None:
        try:
            found = msgspec.json.decode(body, type=_ErrorBody).error
        except msgspec.MsgspecError:
            return None
        return ProviderError(message=found.message, type=found.type, code=found.type)

    def models_request(self, target: Target) -> Outgoing:
        url = f"{target.base_url}/models?limit=1000"
        return Outgoing(url=url, headers=_headers(target), body=b"")


class AnthropicStream:
    """Turns message events into chat completion chunks."""

    def __init__(self, *, keep_usage: bool) -> None:
        self.usage = Usage()
        self._keep_usage = keep_usage
        self._buffer = EventBuffer()
        self._head: dict[str, Any] = {}
        self._tools: dict[int, int] = {}
        self._is_done = False

    def feed(self, chunk: bytes) -> bytes:
        try:
            events = self._buffer.feed(chunk)
            found = [
                msgspec.json.decode(payload, type=_Event) for payload in event_payloads(events)
            ]
        except (ValueError, msgspec.MsgspecError) as error:
            raise StreamBroken from error
        return b"".join(self._translate(event) for event in found)

    def end(self) -> bytes:
        if not self._is_done:
            raise StreamBroken
        return b""

    def _translate(self, event: _Event) -> bytes:
        match event.type:
            case "message_start":
                return self._start(event.message or _Message())
            case "content_block_start":
                return self._block(event)
            case "content_block_delta":
                return self._delta(event)
            case "message_delta":
                return self._finish(event)
            case "message_stop":
                return self._stop()
            case "error":
                raise ProviderFailed(event.error.message if event.error else None)
            case _:
                return b""

    def _start(self, message: _Message) -> bytes:
        self._head = _head(message, "chat.completion.chunk")
        _count(self.usage, message.usage)
        return self._chunk({"role": "assistant", "content": ""})

    def _block(self, event: _Event) -> bytes:
        block = event.content_block or _Block()
        if block.type != "tool_use":
            return self._chunk({"content": block.text}) if block.text else b""
        number = self._tools.setdefault(event.index, len(self._tools))
        function = {"name": block.name, "arguments": ""}
        call = {"index": number, "id": block.id, "type": "function", "function": function}
        return self._chunk({"tool_calls": [call]})

    def _delta(self, event: _Event) -> bytes:
        delta = event.delta or _Block()
        if delta.text is not None:
            return self._chunk({"content": delta.text})
        if delta.partial_json:
            call = {
                "index": self._tools.get(event.index, 0),
                "function": {"arguments": delta.partial_json},
            }
            return self._chunk({"tool_calls": [call]})
        return b""

    def _finish(self, event: _Event) -> bytes:
        _count(self.usage, event.usage)
        reason = event.delta.stop_reason if event.delta else None
        return self._chunk({}, finish_reason=_finish_reason(reason))

    def _stop(self) -> bytes:
        self._is_done = True
        if not self._keep_usage:
            return DONE
        return _event({**self._head, "choices": [], "usage": _usage_view(self.usage)}) + DONE

    def _chunk(self, delta: dict[str, Any], *, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _event({**self._head, "choices": [choice]})


def _completion(message: _Message, usage: Usage) -> dict[str, Any]:
    text = "".join(block.text or "" for block in message.content if block.type == "text")
    calls = [
        {
            "id": block.id,
            "type": "function",
            "function": {
                "name": block.name,
                "arguments": msgspec.json.encode(block.input or {}).decode(),
            },
        }
        for block in message.content
        if block.type == "tool_use"
    ]
    answer: dict[str, Any] = {"role": "assistant", "content": text or None}
    if calls:
        answer["tool_calls"] = calls
    choice = {
        "index": 0,
        "message": answer,
        "finish_reason": _finish_reason(message.stop_reason),
        "logprobs": None,
    }
    head = _head(message, "chat.completion")
    return {**head, "choices": [choice], "usage": _usage_view(usage)}


def _head(message: _Message, kind: str) -> dict[str, Any]:
    created = int(clock.now().timestamp())
    return {"id": message.id, "object": kind, "created": created, "model": message.model}


def _count(usage: Usage, found: _WireUsage | None) -> None:
    """Counts are totals; a later event repeats or replaces what an earlier one said."""
    if found is None:
        return
    if found.input_tokens is not None:
        cached = tokens(found.cache_creation_input_tokens) + tokens(found.cache_read_input_tokens)
        usage.prompt_tokens = tokens(found.input_tokens + cached)
    if found.output_tokens is not None:
        usage.completion_tokens = tokens(found.output_tokens)


def _usage_view(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _finish_reason(reason: str | None) -> str:
    return _FINISH.get(reason or "", "stop")


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def _headers(target: Target) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "anthropic-version": VERSION,
        "x-api-key": target.key,
    }

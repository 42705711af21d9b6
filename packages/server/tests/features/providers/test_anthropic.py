"""Anthropic's messages API behind `/v1`, seen with OpenAI's own client."""

import json
from typing import Any

import openai as sdk
import pytest
from openai import AsyncOpenAI

from .conftest import AddProvider, Calls
from .fakes import Behaviour, FakeProvider, answering, event, failing, streaming

pytestmark = pytest.mark.anyio

HELLO: Any = [{"role": "user", "content": "hello"}]


def said(kind: str, **more: Any) -> bytes:
    return event({"type": kind, **more}, name=kind)


def message(*content: dict[str, Any], stop_reason: str | None = "end_turn") -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": list(content),
        "stop_reason": stop_reason,
        "usage": {"input_tokens": 9, "cache_read_input_tokens": 100, "output_tokens": 1},
    }


def stream_of(*blocks: bytes, stop_reason: str = "end_turn") -> Behaviour:
    """A whole stream around the given block events."""
    return streaming(
        said("message_start", message=message(stop_reason=None)),
        said("ping"),
        *blocks,
        said("message_delta", delta={"stop_reason": stop_reason}, usage={"output_tokens": 12}),
        said("message_stop"),
    )


def text_block(index: int, *texts: str) -> bytes:
    deltas = [
        said("content_block_delta", index=index, delta={"type": "text_delta", "text": text})
        for text in texts
    ]
    start = said("content_block_start", index=index, content_block={"type": "text", "text": ""})
    return start + b"".join(deltas) + said("content_block_stop", index=index)


async def test_a_stream_is_translated(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider, calls: Calls
) -> None:
    await add(kind="anthropic")
    fake.will(stream_of(text_block(0, "Hel", "lo 粗体"), stop_reason="max_tokens"))
    stream = await openai.chat.completions.create(
        model="p/claude-x", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [item async for item in stream]
    texts = [choice.delta.content or "" for item in chunks for choice in item.choices]
    assert "".join(texts) == "Hello 粗体"
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (109, 12)
    path, headers, body = fake.requests[0]
    assert path == "/v1/messages"
    assert headers["x-api-key"] == "sk-0123456789"
    assert "Authorization" not in headers
    assert headers["anthropic-version"] == "2023-06-01"
    assert body["max_tokens"] > 0
    [call] = await calls()
    assert (call["prompt_tokens"], call["completion_tokens"]) == (109, 12)


async def test_a_conversation_with_tools_and_pictures_is_translated(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider
) -> None:
    await add(kind="anthropic")
    fake.will(answering(message({"type": "text", "text": "22 degrees"})))
    tool: Any = {
        "type": "function",
        "function": {"name": "weather", "description": "d", "parameters": {"type": "object"}},
    }
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"c":1}'}}
    conversation: Any = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Very."},
        {"role": "user", "content": [{"type": "text", "text": "Where?"}, picture]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "22"},
        {"role": "user", "content": "Well?"},
    ]
    answer = await openai.chat.completions.create(
        model="p/claude-x",
        messages=conversation,
        tools=[tool],
        tool_choice="required",
        stop="END",
        max_completion_tokens=77,
        temperature=1.7,
    )
    assert answer.choices[0].message.content == "22 degrees"
    assert answer.choices[0].finish_reason == "stop"
    body = fake.bodies[0]
    assert body["system"] == "Be brief.\n\nVery."
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][0]["content"][1]["source"] == {
        "type": "base64",
        "media_type": "image/png",
        "data": "QUJD",
    }
    assert body["messages"][1]["content"][0]["input"] == {"c": 1}
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "text"]
    assert body["tools"][0]["input_schema"] == {"type": "object"}
    assert body["tool_choice"] == {"type": "any"}
    assert (body["stop_sequences"], body["max_tokens"], body["temperature"]) == (["END"], 77, 1.0)


async def test_tool_calls_are_translated_streamed_and_whole(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider
) -> None:
    await add(kind="anthropic")
    use: dict[str, Any] = {"type": "tool_use", "id": "tu_1", "name": "weather", "input": {}}
    pieces = [
        said(
            "content_block_delta",
            index=1,
            delta={"type": "input_json_delta", "partial_json": piece},
        )
        for piece in ("", '{"city":', '"粗"}')
    ]
    start = said("content_block_start", index=1, content_block=use)
    fake.will(
        stream_of(text_block(0, "Let me see."), start, *pieces, stop_reason="tool_use"),
        answering(message({**use, "input": {"city": "粗"}}, stop_reason="tool_use")),
    )
    stream = await openai.chat.completions.create(model="p/c", messages=HELLO, stream=True)
    chunks = [item async for item in stream]
    calls = [part for item in chunks for part in item.choices[0].delta.tool_calls or []]
    assert (calls[0].id, calls[0].index) == ("tu_1", 0)
    arguments = "".join(part.function.arguments or "" for part in calls if part.function)
    assert json.loads(arguments) == {"city": "粗"}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    whole = await openai.chat.completions.create(model="p/c", messages=HELLO)
    [call] = whole.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "粗"}


async def test_an_error_inside_the_stream_reaches_the_client(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider
) -> None:
    await add(kind="anthropic")
    overloaded = said("error", error={"type": "overloaded_error", "message": "Overloaded"})
    fake.will(
        streaming(said("message_start", message=message()), text_block(0, "a"), overloaded),
        streaming(said("message_start", message=message()), text_block(0, "a")),
    )
    for wanted in ("Overloaded", "broke off"):
        stream = await openai.chat.completions.create(model="p/c", messages=HELLO, stream=True)
        with pytest.raises(sdk.APIError, match=wanted):
            async for _ in stream:
                pass


async def test_what_anthropic_cannot_do_is_refused_and_named(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider
) -> None:
    await add(kind="anthropic")
    with pytest.raises(sdk.BadRequestError) as failed:
        await openai.chat.completions.create(model="p/c", messages=HELLO, n=2)
    assert failed.value.param == "n"
    assert fake.requests == []
    body = {"type": "error", "error": {"type": "not_found_error", "message": "model: c"}}
    fake.will(answering(body, status=404), failing(401))
    with pytest.raises(sdk.NotFoundError, match="model: c"):
        await openai.chat.completions.create(model="p/c", messages=HELLO)
    with pytest.raises(sdk.InternalServerError, match="refused the key"):
        await openai.chat.completions.create(model="p/c", messages=HELLO)

"""`/v1` with OpenAI's own client, in front of a server that speaks OpenAI's format."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import httpx
import openai as sdk
import pytest
from openai import AsyncOpenAI
from orchestra.features.identity import Identity
from orchestra.features.providers import Providers
from orchestra.foundation import clock, ids
from orchestra.foundation.database import Database
from orchestra.foundation.egress import Timeouts

from .conftest import AddProvider, Calls
from .fakes import (
    Behaviour,
    FakeProvider,
    answering,
    chunk,
    completion,
    cutting,
    failing,
    hanging,
    streaming,
    words,
)

pytestmark = pytest.mark.anyio

HELLO: Any = [{"role": "user", "content": "hello"}]


async def test_a_stream_reaches_the_client_as_the_provider_sent_it(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider, calls: Calls
) -> None:
    await add()
    fake.will(streaming(*words("Hel", "lo ", "粗体")))
    stream = await openai.chat.completions.create(
        model="p/vendor/m-1",
        messages=HELLO,
        stream=True,
        temperature=0.5,
        extra_body={"something_new": {"x": [1]}},
    )
    chunks = [item async for item in stream]
    assert "".join(item.choices[0].delta.content or "" for item in chunks) == "Hello 粗体"
    assert chunks[-1].choices[0].finish_reason == "stop"
    path, headers, body = fake.requests[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer sk-0123456789"
    assert (body["model"], body["temperature"]) == ("vendor/m-1", 0.5)
    assert body["something_new"] == {"x": [1]}
    assert body["stream_options"] == {"include_usage": True}
    [call] = await calls()
    assert (call["prompt_tokens"], call["completion_tokens"]) == (5, 3)
    assert (call["provider"], call["model"], call["outcome"]) == ("p", "vendor/m-1", "succeeded")
    assert 0 < call["first_token_ms"] <= call["duration_ms"]


async def test_usage_comes_at_the_end_if_it_is_asked_for(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider
) -> None:
    await add()
    fake.will(streaming(*words("a")))
    stream = await openai.chat.completions.create(
        model="p/m", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [item async for item in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 8


async def test_pieces_that_cut_events_anywhere_are_put_together(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider, calls: Calls
) -> None:
    await add()
    whole = b"".join(words("Hel", "lo ", "粗体")).replace(b"\n", b"\r\n")
    fake.will(streaming(b": a comment\n\n", *(whole[i : i + 3] for i in range(0, len(whole), 3))))
    stream = await openai.chat.completions.create(model="p/m", messages=HELLO, stream=True)
    text = "".join([item.choices[0].delta.content or "" async for item in stream])
    assert text == "Hello 粗体"
    assert (await calls())[0]["completion_tokens"] == 3


async def test_a_whole_answer_and_its_usage(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider, calls: Calls
) -> None:
    await add()
    fake.will(answering(completion("hi")))
    answer = await openai.chat.completions.create(model="p/m", messages=HELLO)
    assert answer.choices[0].message.content == "hi"
    [call] = await calls()
    assert (call["prompt_tokens"], call["completion_tokens"]) == (11, 4)


async def test_tools_are_passed_through(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider
) -> None:
    await add()
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": '{"x":1}'}}
    fake.will(
        streaming(
            chunk({"tool_calls": [call]}),
            chunk({"tool_calls": [more]}),
            chunk({}, "tool_calls"),
            b"data: [DONE]\n\n",
        )
    )
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    stream = await openai.chat.completions.create(
        model="p/m",
        messages=HELLO,
        tools=[tool],
        stream=True,
    )
    deltas = [item.choices[0].delta async for item in stream]
    assert deltas[1].tool_calls is not None
    assert deltas[1].tool_calls[0].function is not None
    assert deltas[1].tool_calls[0].function.arguments == '{"x":1}'
    assert fake.bodies[0]["tools"] == [tool]


async def test_a_run_uses_models_and_nothing_else(
    base_url: str,
    fake: FakeProvider,
    add: AddProvider,
    identity: Identity,
    database: Database,
    calls: Calls,
) -> None:
    await add()
    fake.will(streaming(*words("a")))
    async with database.transaction() as tx:
        user_id: uuid.UUID = await tx.fetch_value("SELECT id FROM users_v2")
    task_id = ids.new_id()
    token = identity.issue_run_token(task_id, 3, user_id, clock.now() + timedelta(minutes=5))
    async with AsyncOpenAI(base_url=f"{base_url}/v1", api_key=token) as client:
        stream = await client.chat.completions.create(model="p/m", messages=HELLO, stream=True)
        assert len([item async for item in stream]) == 3
    [call] = await calls()
    assert (call["task_id"], call["epoch"], call["user_id"]) == (task_id, 3, user_id)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=base_url, headers=headers) as client:
        assert (await client.get("/api/providers")).status_code == 403
        assert (
            await client.post("/api/keys", json={"name": "k", "scopes": ["models:use"]})
        ).status_code == 403


async def test_the_provider_is_told_when_the_client_goes_away(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider, calls: Calls
) -> None:
    await add()
    fake.will(streaming(*words("a", "b")[:3], hang=True))
    stream = await openai.chat.completions.create(model="p/m", messages=HELLO, stream=True)
    await anext(aiter(stream))
    await stream.close()
    await asyncio.wait_for(fake.hung_up.wait(), timeout=5)
    async with asyncio.timeout(5):
        while not (written := await calls()):  # noqa: ASYNC110 - a table cannot be awaited
            await asyncio.sleep(0.01)
    assert written[0]["outcome"] == "cancelled"


@pytest.mark.parametrize("stream", [True, False])
async def test_who_gives_up_waiting_costs_nothing_more(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider, calls: Calls, *, stream: bool
) -> None:
    await add()
    fake.will(hanging)
    with pytest.raises(sdk.APITimeoutError):
        await openai.chat.completions.create(
            model="p/m", messages=HELLO, stream=stream, timeout=0.5
        )
    await asyncio.wait_for(fake.hung_up.wait(), timeout=5)
    async with asyncio.timeout(5):
        while not (written := await calls()):  # noqa: ASYNC110 - a table cannot be awaited
            await asyncio.sleep(0.01)
    assert written[0]["outcome"] == "cancelled"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        (failing(401, "Incorrect API key"), 502, "provider_refused_key"),
        (failing(403), 502, "provider_refused_key"),
        (failing(404, "no such model"), 404, "model_not_found"),
        (failing(400, "bad", code="too_long", param="messages"), 400, "too_long"),
        (failing(302, headers={"Location": "http://169.254.169.254/"}), 502, "provider_failed"),
        (failing(429, "slow", headers={"Retry-After": "17"}), 429, "rate_limit_exceeded"),
    ],
)
async def test_each_failure_of_the_provider_has_its_answer(
    openai: AsyncOpenAI,
    fake: FakeProvider,
    add: AddProvider,
    calls: Calls,
    behaviour: Behaviour,
    status: int,
    code: str,
    *,
    stream: bool,
) -> None:
    await add()
    fake.will(behaviour)
    with pytest.raises(sdk.APIStatusError) as failed:
        await openai.chat.completions.create(model="p/m", messages=HELLO, stream=stream)
    assert (failed.value.status_code, failed.value.code) == (status, code)
    assert len(fake.requests) == 1
    if status == 429:
        assert failed.value.response.headers["retry-after"] == "17"
    assert len(await calls()) == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_what_passes_by_itself_is_tried_again(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider, *, stream: bool
) -> None:
    await add()
    good = streaming(*words("a")) if stream else answering(completion("a"))
    fake.will(cutting, failing(503, headers={"Retry-After": "0"}), good)
    await openai.chat.completions.create(model="p/m", messages=HELLO, stream=stream)
    assert len(fake.requests) == 3


async def test_tries_are_bounded(openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider) -> None:
    await add()
    fake.will(*[failing(500, headers={"Retry-After": "0"})] * 5)
    with pytest.raises(sdk.InternalServerError, match="The provider failed"):
        await openai.chat.completions.create(model="p/m", messages=HELLO)
    assert len(fake.requests) == 3


async def test_a_provider_that_hangs_is_given_up(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider, providers: Providers
) -> None:
    await add()
    short = Timeouts(connect=1, first_byte=0.2, between=0.2)
    providers.completions.stream_timeouts = providers.completions.whole_timeouts = short
    fake.will(hanging, hanging, streaming(*words("a")[:2], hang=True))
    for stream in (True, False):
        with pytest.raises(sdk.APIStatusError) as failed:
            await openai.chat.completions.create(model="p/m", messages=HELLO, stream=stream)
        assert (failed.value.status_code, failed.value.code) == (504, "timeout")
    assert len(fake.requests) == 2
    stream = await openai.chat.completions.create(model="p/m", messages=HELLO, stream=True)
    with pytest.raises(sdk.APIError, match="Nothing came"):
        async for _ in stream:
            pass


@pytest.mark.parametrize("cut", [True, False])
async def test_a_stream_that_breaks_off_says_so(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider, calls: Calls, *, cut: bool
) -> None:
    await add()
    fake.will(streaming(*words("a", "b")[:3], cut=cut))
    stream = await openai.chat.completions.create(model="p/m", messages=HELLO, stream=True)
    with pytest.raises(sdk.APIError, match="broke off"):
        async for _ in stream:
            pass
    assert (await calls())[0]["outcome"] in {"stream_broken", "unreachable"}


async def test_a_server_that_does_not_end_its_stream_properly_is_forgiven(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider
) -> None:
    await add()
    fake.will(streaming(*words("a", usage=None)[:-1]))
    stream = await openai.chat.completions.create(model="p/m", messages=HELLO, stream=True)
    assert len([item async for item in stream]) == 3


async def test_a_server_that_does_not_know_stream_options_is_asked_without(
    openai: AsyncOpenAI, fake: FakeProvider, add: AddProvider
) -> None:
    await add()
    unknown = failing(422, "extra fields not permitted: stream_options")
    fake.will(unknown, streaming(*words("a", usage=None)), streaming(*words("b", usage=None)))
    for _ in range(2):
        stream = await openai.chat.completions.create(model="p/m", messages=HELLO, stream=True)
        assert len([item async for item in stream]) == 3
    assert ["stream_options" in body for body in fake.bodies] == [True, False, False]


async def test_what_is_wrong_with_a_request_is_said_in_openais_words(
    openai: AsyncOpenAI, http: httpx.AsyncClient, base_url: str, add: AddProvider
) -> None:
    await add()
    with pytest.raises(sdk.NotFoundError) as failed:
        await openai.chat.completions.create(model="unknown/m", messages=HELLO)
    assert failed.value.code == "model_not_found"
    for body in (
        b"",
        b"[]",
        b"{",
        b'{"model": 1}',
        b'{"model": "p/m", "messages": "x"}',
        b"[" * 9999,
    ):
        answer = await http.post(
            "/v1/chat/completions", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 400, body
        assert answer.json()["error"]["type"] == "invalid_request_error"
    async with AsyncOpenAI(base_url=f"{base_url}/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(sdk.AuthenticationError) as refused:
            await client.models.list()
    assert refused.value.type == "authentication_error"


async def test_a_huge_request_is_refused_and_a_large_one_is_not(
    http: httpx.AsyncClient, key: str, fake: FakeProvider, add: AddProvider
) -> None:
    await add()
    fake.will(answering(completion("a")))
    body = {"model": "p/m", "messages": [{"role": "user", "content": "x" * 8 * 1024**2}]}
    assert (await http.post("/v1/chat/completions", json=body)).status_code == 200
    assert len(fake.bodies[0]["messages"][0]["content"]) == 8 * 1024**2
    reader, writer = await asyncio.open_connection("127.0.0.1", http.base_url.port)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 41943040\r\n"
        f"Content-Type: application/json\r\nAuthorization: Bearer {key}\r\n\r\n"
    )
    writer.write(head.encode())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), timeout=5)
    writer.close()
    assert b" 413 " in answer.partition(b"\r\n")[0]


async def test_models_are_listed_in_openais_format(
    openai: AsyncOpenAI, http: httpx.AsyncClient, fake: FakeProvider, add: AddProvider
) -> None:
    provider = await add()
    fake.will(answering({"object": "list", "data": [{"id": "m-1"}, {"id": "org/m-2"}]}))
    tested = (await http.post(f"/api/providers/{provider['id']}/test")).json()
    assert (tested["ok"], tested["models"], tested["error"]) == (True, ["m-1", "org/m-2"], None)
    models = await openai.models.list()
    assert [model.id for model in models.data] == ["p/m-1", "p/org/m-2"]
    assert (await openai.models.retrieve("p/org/m-2")).owned_by == "p"
    with pytest.raises(sdk.NotFoundError):
        await openai.models.retrieve("p/m-3")


async def test_default_means_what_the_administrator_chose(
    openai: AsyncOpenAI, http: httpx.AsyncClient, fake: FakeProvider, add: AddProvider
) -> None:
    with pytest.raises(sdk.NotFoundError) as failed:
        await openai.chat.completions.create(model="default", messages=HELLO)
    assert failed.value.code == "no_default_model"
    provider = await add()
    fake.will(answering({"data": [{"id": "m-1"}]}), answering(completion("a")))
    await http.post(f"/api/providers/{provider['id']}/test")
    assert (await http.put("/api/models/default", json={"id": "p/m-9"})).status_code == 404
    assert (await http.put("/api/models/default", json={"id": "p/m-1"})).status_code == 204
    await openai.chat.completions.create(model="default", messages=HELLO)
    assert fake.bodies[-1]["model"] == "m-1"
    models = (await http.get("/api/models")).json()["items"]
    assert models == [{"id": "p/m-1", "provider": "p", "name": "m-1", "is_default": True}]

"""What becomes of an answer when the model API is away, busy, broken off or confused."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from orchestra_assistant.agent import make_agent
from orchestra_assistant.history import prompt, tokens, turn_of
from orchestra_sdk.testing import ControlPlane, SubmittedTask, TaskFailed, serving, until

pytestmark = pytest.mark.anyio

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
TURN = {"messages": [{"role": "user", "content": "hello"}]}


def status(code: int, body: object, *headers: str) -> Behaviour:
    """Answer with a status and a body."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = (f"HTTP/1.1 {code} X", f"Content-Length: {len(content)}", "Connection: close")
        writer.write("\r\n".join((*head, *headers, "", "")).encode() + content)

    return behave


def events(*chunks: object, end: str = "data: [DONE]\n\n") -> Behaviour:
    """Stream chunks, then `end`, then close the connection."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for chunk in chunks:
            writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
            await writer.drain()
        writer.write(end.encode())

    return behave


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say one word, then nothing until the caller hangs up."""
    await events(word("thinking"), end="")(reader, writer)
    await reader.read()


def word(text: str) -> dict[str, object]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": None}]}


STOP: dict[str, object] = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
USAGE: dict[str, object] = {
    "choices": [],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}
ANSWER = events(word("hello "), word("you"), STOP, USAGE)


class Api:
    """Behaves on each request as the next item of its script, the last for all further ones."""

    def __init__(self, *script: Behaviour) -> None:
        self.script = list(script)
        self.requests: list[dict[str, object]] = []
        self.hung_up = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split("\r\n")[0])
        self.requests.append(json.loads(await reader.readexactly(length)))
        behave = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        await behave(reader, writer)
        self.hung_up += behave is hang
        writer.close()


@asynccontextmanager
async def answering(plane: ControlPlane, *script: Behaviour) -> AsyncGenerator[Api]:
    """Serve an API of that script to an assistant."""
    api = Api(*script)
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    plane.model_base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server, serving(make_agent(), plane):
        yield api


async def failure(task: SubmittedTask) -> TaskFailed:
    with pytest.raises(TaskFailed) as caught:
        await task.result(timeout=15)
    return caught.value


async def test_the_request_asks_for_a_stream_with_its_usage(plane: ControlPlane) -> None:
    async with answering(plane, ANSWER) as api:
        task = await plane.submit("chat", TURN)
        assert await task.result() == {
            "text": "hello you",
            "finish_reason": "stop",
            "usage": {"prompt_tokens": 7, "completion_tokens": 2},
        }
    assert api.requests[0]["model"] == "default"
    assert api.requests[0]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    "trouble",
    [
        status(503, {"error": {"message": "starting"}}),
        status(502, b"<html>bad gateway</html>"),
        status(429, {"error": {"message": "slow down"}}, "Retry-After: 0"),
        events(end=""),
        events({"error": {"message": "overloaded", "code": 503}}),
    ],
)
async def test_trouble_before_the_first_word_is_waited_out(
    plane: ControlPlane, trouble: Behaviour
) -> None:
    async with answering(plane, trouble, trouble, ANSWER):
        task = await plane.submit("chat", TURN)
        assert (await task.result())["text"] == "hello you"
    assert (task.attempt, task.text) == (1, "hello you")


async def test_an_api_that_is_not_there_yet_is_waited_for(plane: ControlPlane) -> None:
    api = Api(ANSWER)
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    plane.model_base_url = f"http://127.0.0.1:{port}/v1"
    async with serving(make_agent(), plane):
        task = await plane.submit("chat", TURN)
        await task.wait_for(lambda task: bool(task.events))  # it has logged the first trouble
        async with await asyncio.start_server(api.serve, "127.0.0.1", port):
            assert (await task.result())["text"] == "hello you"


@pytest.mark.parametrize(
    "cut",
    [
        events(word("hel"), end=""),
        events(word("hel"), {"error": {"message": "upstream died", "type": "server_error"}}),
        events(word("hel"), end="data: {\n\n"),
    ],
)
async def test_an_answer_cut_in_the_middle_begins_anew_and_says_nothing_twice(
    plane: ControlPlane, cut: Behaviour
) -> None:
    async with answering(plane, cut, ANSWER):
        task = await plane.submit("chat", TURN)
        result = await task.result()
    assert task.attempt == 2
    assert task.text == result["text"] == "hello you"


async def test_an_api_that_stays_busy_fails_so_that_another_attempt_may_come(
    plane: ControlPlane,
) -> None:
    busy = status(429, {"error": {"message": "quota"}}, "Retry-After: 3600")
    async with answering(plane, busy):
        caught = await failure(await plane.submit("chat", TURN, max_attempts=1))
    assert (caught.code, caught.retryable) == ("model_unavailable", True)
    assert "quota" in caught.message


@pytest.mark.parametrize(
    ("code", "body", "said"),
    [
        (401, {"error": {"message": "bad key", "type": "invalid_request_error"}}, "bad key"),
        (404, {"error": {"message": "no such model", "code": "model_not_found"}}, "no such model"),
        (400, {"detail": "unknown field", "title": "Bad Request"}, "unknown field"),
        (403, b"", "no reason given"),
    ],
)
async def test_a_refusal_is_told_and_not_tried_again(
    plane: ControlPlane, code: int, body: object, said: str
) -> None:
    async with answering(plane, status(code, body)) as api:
        task = await plane.submit("chat", TURN)
        caught = await failure(task)
    assert (caught.code, caught.retryable) == ("model_refused", False)
    assert f"({code}): {said}" in caught.message
    assert (len(api.requests), task.attempt) == (1, 1)


async def test_a_history_too_long_for_the_model_is_halved_until_it_fits(
    plane: ControlPlane,
) -> None:
    message = "This model's maximum context length is 2000 tokens"
    too_long = status(400, {"error": {"message": message, "code": "context_length_exceeded"}})
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": "word " * 200} for n in range(41)]
    async with answering(plane, too_long, ANSWER) as api:
        for _ in range(2):
            task = await plane.submit("chat", {"model": "p/small", "messages": messages})
            assert (await task.result())["text"] == "hello you"
    sent = [json.dumps(request["messages"]) for request in api.requests]
    assert len(sent) == 3  # the second turn knew the limit
    assert len(sent[1]) < 0.2 * len(sent[0])
    assert len(sent[2]) == len(sent[1])


async def test_a_cancelled_answer_closes_the_connection(plane: ControlPlane) -> None:
    async with answering(plane, hang) as api:
        task = await plane.submit("chat", TURN)
        await task.wait_for(lambda task: task.text == "thinking")
        task.cancel()
        assert (await failure(task)).state == "cancelled"
        await until(lambda: api.hung_up == 1)


def test_the_prompt_keeps_the_newest_messages_and_begins_with_the_user() -> None:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": f"message {n} " + "x" * 400} for n in range(21)]
    turn = turn_of({"messages": messages})
    kept = prompt(turn, 600)
    assert [m["role"] for m in kept[:2]] == ["system", "user"]
    assert kept[1:] == list(turn.messages)[-len(kept) + 1 :]
    assert sum(tokens(m["content"]) for m in kept) <= 600
    assert prompt(turn, 1)[1:] == [messages[-1]]


def test_the_callers_own_system_message_replaces_ours() -> None:
    system = {"role": "system", "content": "Answer as a pirate."}
    turn = turn_of({"messages": [system, {"role": "user", "content": "hello"}]})
    assert prompt(turn, 100) == list(turn.messages)

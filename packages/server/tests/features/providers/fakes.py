"""Servers that speak the providers' real wire formats over real sockets, as a test scripts them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Self

from aiohttp import web

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]
OPENAI_CHUNK = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 7, "model": "m-1"}


class FakeProvider:
    """Answers each request by the next scripted behaviour, and remembers what it was asked."""

    def __init__(self) -> None:
        self.script: list[Behaviour] = []
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.hung_up = asyncio.Event()
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def will(self, *behaviours: Behaviour) -> None:
        self.script.extend(behaviours)

    @property
    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.requests]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else None
        self.requests.append((request.path, dict(request.headers), body))
        behaviour = self.script.pop(0) if self.script else failing(500, "nothing scripted")
        try:
            return await behaviour(request)
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up.set()
            raise


def failing(
    status: int, message: str = "no", *, headers: dict[str, str] | None = None, **more: str
) -> Behaviour:
    """An error in OpenAI's format."""

    async def behave(_request: web.Request) -> web.StreamResponse:
        error = {"message": message, "type": "some_error", "code": None, "param": None, **more}
        return web.json_response({"error": error}, status=status, headers=headers)

    return behave


def answering(value: Any, *, status: int = 200) -> Behaviour:
    async def behave(_request: web.Request) -> web.StreamResponse:
        return web.json_response(value, status=status)

    return behave


def streaming(*pieces: bytes, hang: bool = False, cut: bool = False) -> Behaviour:
    """Sends the pieces as they are; then ends, hangs, or cuts the connection."""

    async def behave(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0)
        if hang:
            await asyncio.Event().wait()
        if cut:
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.write_eof()
        return response

    return behave


async def hanging(_request: web.Request) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError


async def cutting(request: web.Request) -> web.StreamResponse:
    """Closes the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    """One event of an OpenAI stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return event({**OPENAI_CHUNK, "choices": [choice], **more})


def event(value: Any, name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def words(*texts: str, usage: tuple[int, int] | None = (5, 3)) -> list[bytes]:
    """A whole OpenAI stream, with the usage at its end as include_usage asks for."""
    pieces = [chunk({"role": "assistant", "content": ""}, usage=None)]
    pieces += [chunk({"content": text}, usage=None) for text in texts]
    pieces.append(chunk({}, "stop", usage=None))
    if usage:
        counted = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
        total = {**counted, "total_tokens": sum(usage)}
        pieces.append(event({**OPENAI_CHUNK, "choices": [], "usage": total}))
    return [*pieces, b"data: [DONE]\n\n"]


def completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        **OPENAI_CHUNK,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15},
    }

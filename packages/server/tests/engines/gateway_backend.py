"""A small application on the real server of the api, to stand behind the gateway in tests."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
FRAMES = 3
FRAME_SECONDS = 0.2


async def app(scope: dict[str, Any], _receive: object, send: Send) -> None:
    """Answers what it was asked; `/big` is long, `/api/events/stream` comes bit by bit."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/api/events/stream":
        await _stream(send)
    elif scope["path"] == "/big":
        await _answer(send, json.dumps("long " * 1000).encode())
    else:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        seen = {"path": scope["path"], "http": scope["http_version"], "headers": headers}
        await _answer(send, json.dumps(seen).encode())


async def _answer(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"application/json; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Send) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for number in range(FRAMES):
        frame = f"data: {number}\n\n".encode()
        await send({"type": "http.response.body", "body": frame, "more_body": True})
        await asyncio.sleep(FRAME_SECONDS)
    await send({"type": "http.response.body", "body": b""})

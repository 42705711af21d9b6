"""Streams a completion from the instance's OpenAI-compatible API.

Plain httpx instead of the `openai` package: of it only the reading of one stream would be used, and
its import takes a second of processor time and 30 MB at every start.
"""

import asyncio
import json
import os
import ssl
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from orchestra_sdk import Context

from orchestra_assistant.history import Message
from orchestra_assistant.problems import Unavailable, from_event, from_response

# The api may be restarting: that takes a few seconds. Longer troubles are the next attempt's.
_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 4.0
# A model may think for long before its first word, and a gateway may queue.
_TIMEOUT = httpx.Timeout(connect=5.0, read=300.0, write=15.0, pool=30.0)
_MAX_ERROR_BYTES = 64 * 1024
_MAX_ANSWER_BYTES = 900_000  # the result has to fit into a message of the protocol, of 1 MiB


@dataclass
class Answer:
    """The answer so far."""

    pieces: list[str] = field(default_factory=list[str])
    size: int = 0  # bytes
    finish_reason: str = ""
    usage: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def text(self) -> str:
        """Everything that was said."""
        return "".join(self.pieces)


class Completions:
    """A client with connections that are kept between turns."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def stream(self, ctx: Context, model: str, messages: list[Message]) -> Answer:
        """Emit the answer as it comes, and return it whole.

        Until the first word, short troubles are waited out here. After it the attempt is given up:
        a new one begins under a new epoch, where no reader sees a word twice.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            answer = Answer()
            try:
                await self._once(ctx, model, messages, answer)
            except Unavailable as problem:
                pause = _pause(ctx.task_id, attempt, problem.retry_after)
                if answer.pieces or pause is None:
                    raise
                ctx.log(problem.message, level="warning", attempt=attempt)
                await asyncio.sleep(pause)
            else:
                return answer
        raise AssertionError("the last attempt returns or raises")

    async def _once(
        self, ctx: Context, model: str, messages: list[Message], answer: Answer
    ) -> None:
        try:
            async with self._response(ctx, model, messages) as response:
                if not response.is_success:
                    raise await _refusal(response)
                async for chunk in _events(response):
                    await _take(ctx, chunk, answer)
                    if answer.size > _MAX_ANSWER_BYTES:
                        answer.finish_reason = "length"
                        break
        except httpx.TimeoutException as error:
            raise Unavailable("The model did not answer in time.") from error
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"The connection to the model API broke: {reason}") from error
        if not answer.finish_reason:
            raise Unavailable("The model broke off in mid answer.")

    @asynccontextmanager
    async def _response(
        self, ctx: Context, model: str, messages: list[Message]
    ) -> AsyncGenerator[httpx.Response]:
        headers = {"Authorization": f"Bearer {ctx.run_token}", "Accept": "text/event-stream"}
        if ctx.trace_parent:
            headers["traceparent"] = ctx.trace_parent
        body: dict[str, Any] = {
            "model": model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        url = ctx.model_base_url.rstrip("/") + "/chat/completions"
        async with self._connected(url).stream("POST", url, json=body, headers=headers) as response:
            yield response

    def _connected(self, url: str) -> httpx.AsyncClient:
        if self._client is None:
            # Reading the system's certificates takes 30 ms, which plain HTTP can save.
            trusted = (
                ssl.create_default_context(cafile=os.environ.get("ORCHESTRA_CA_FILE") or None)
                if url.startswith("https:")
                else True
            )
            self._client = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False, verify=trusted)
        return self._client


async def _take(ctx: Context, chunk: dict[str, Any], answer: Answer) -> None:
    if error := chunk.get("error"):
        raise from_event(error)
    if usage := chunk.get("usage"):
        answer.usage = {
            name: int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")
        }
    choices: list[dict[str, Any]] = chunk.get("choices") or []
    if not choices:
        return
    answer.finish_reason = choices[0].get("finish_reason") or answer.finish_reason
    delta: dict[str, Any] = choices[0].get("delta") or {}
    if text := delta.get("content"):
        answer.pieces.append(text)
        answer.size += len(text.encode("utf-8", "replace"))
        await ctx.emit(text)


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """Yield the JSON of every event; an event of this API is one line of data."""
    async for line in response.aiter_lines():
        if not line.startswith("data:"):
            continue
        content = line[5:].strip()
        if content == "[DONE]":
            return
        try:
            yield json.loads(content)
        except ValueError as error:
            raise Unavailable("The model API sent what is not JSON.") from error


async def _refusal(response: httpx.Response) -> Exception:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _MAX_ERROR_BYTES:
            break
    retry_after = response.headers.get("retry-after", "")
    return from_response(response.status_code, body, retry_after=retry_after)


def _pause(task_id: str, attempt: int, asked: float) -> float | None:
    """Return seconds to wait before the next attempt, spread by the task; None: no other."""
    if attempt >= _ATTEMPTS or asked > _LONGEST_PAUSE_SECONDS:
        return None
    longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)
    return max(asked, longest * (1 + zlib.crc32(task_id.encode()) / 2**32) / 2)

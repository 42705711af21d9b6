"""How an agent of a run asks a language model, through our own `/v1` with its run's credential."""

import os

import httpx
import msgspec
from orchestra_sdk import Context, TaskError

# Longer than the task's own limit without progress: the product is what has to end a silence.
PATIENCE_SECONDS = 30.0
QUESTION = "Say a sentence of twelve words that everybody here knows by heart already."
PREFIX = "data: "


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    delta: _Delta = _Delta()


class _Chunk(msgspec.Struct, frozen=True):
    choices: list[_Choice] = []
    error: dict[str, object] | None = None


async def ask(ctx: Context) -> None:
    """The provider repeats the question; half of it is no answer, and must not look like one.

    Raises a TaskError that lets the task be tried again when we are told that it broke off.
    """
    body: dict[str, object] = {
        "model": os.environ["CHAOS_MODEL"],
        "messages": [{"role": "user", "content": QUESTION}],
        "stream": True,
    }
    try:
        text = await _answer(ctx, body)
    except httpx.HTTPError as error:
        raise TaskError(f"{type(error).__name__}: {error}", code="model", retryable=True) from error
    if text != QUESTION:
        raise TaskError(f"Not the whole answer: {text!r}", code="torn", retryable=False)


async def _answer(ctx: Context, body: dict[str, object]) -> str:
    headers = {"authorization": f"Bearer {ctx.run_token}"}
    url = f"{ctx.model_base_url.rstrip('/')}/chat/completions"
    async with (
        httpx.AsyncClient(timeout=PATIENCE_SECONDS, trust_env=False) as client,
        client.stream("POST", url, json=body, headers=headers) as answer,
    ):
        answer.raise_for_status()
        pieces: list[str] = []
        async for line in answer.aiter_lines():
            if not line.startswith(PREFIX):
                continue
            said = line.removeprefix(PREFIX)
            if said == "[DONE]":
                return "".join(pieces)
            chunk = msgspec.json.decode(said, type=_Chunk)
            if chunk.error is not None:
                raise TaskError(str(chunk.error), code="model", retryable=True)
            for choice in chunk.choices:
                pieces.append(choice.delta.content or "")
                await ctx.emit(choice.delta.content or "")
    raise TaskError("It ended without an end.", code="model", retryable=True)

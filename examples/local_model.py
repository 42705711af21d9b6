"""Asks the instance's default model, which on a laptop is a very small one.

A question is a step: when the task runs again, the model is not asked again. Whatever it answers is
only ever text, so the examples work with any model, if not equally well.
"""

import asyncio

import httpx
from orchestra_sdk import Context, TaskError

ATTEMPTS = 8
PAUSE_SECONDS = 0.5  # doubled every time: all attempts together outlast a restart of the server
LONGEST_PAUSE_SECONDS = 10.0
TIMEOUT = httpx.Timeout(180.0, connect=5.0)


async def ask_model(ctx: Context, prompt: str, *, step: str = "model", words: int = 30) -> str:
    """Return the model's answer of about so many words, without line breaks."""
    return await ctx.step(step, lambda: _complete(ctx, prompt, words))


async def _complete(ctx: Context, prompt: str, words: int) -> str:
    pause = PAUSE_SECONDS
    for _ in range(ATTEMPTS):
        try:
            return await _once(ctx, prompt, words)
        except httpx.TransportError as error:
            ctx.log(f"the model API cannot be reached: {error}", level="warning")
        except httpx.HTTPStatusError as error:
            if error.response.status_code < 500 and error.response.status_code != 429:
                raise TaskError(error.response.text[:500], code="model_refused") from error
            ctx.log(f"the model API says {error.response.status_code}", level="warning")
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
    raise TaskError("The model did not answer.", code="model_unavailable", retryable=True)


async def _once(ctx: Context, prompt: str, words: int) -> str:
    async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
        answer = await client.post(
            f"{ctx.model_base_url}/chat/completions",
            headers={"authorization": f"Bearer {ctx.run_token}"},
            json={
                "model": "default",
                "messages": [{"role": "user", "content": prompt}],
                "max_tokens": 2 * words,
            },
        )
    answer.raise_for_status()
    return " ".join((answer.json()["choices"][0]["message"]["content"] or "").split())

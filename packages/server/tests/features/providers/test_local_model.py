"""The local model, which has few slots and no sense of an ending."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI
from orchestra.engines.testing import RunningModel
from orchestra.foundation.settings import Settings

pytestmark = pytest.mark.anyio

MODEL = "local/smollm2-135m-instruct"
STORY: Any = [{"role": "user", "content": "Tell a story of a lighthouse keeper in twenty pages."}]
LIMIT = 12


@pytest.fixture
def settings(tmp_path: Path, model: RunningModel) -> Settings:
    return Settings(
        data_dir=tmp_path,
        model_url=model.url,
        model_key=model.key,
        egress_allowed_hosts=(model.url.removeprefix("http://").removesuffix("/v1"),),
        local_model_max_tokens=LIMIT,
    )


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "asked", [{}, {"max_tokens": 900}, {"max_completion_tokens": -1}, {"n_predict": 900}]
)
async def test_an_answer_ends_at_the_limit_whatever_was_asked_for(
    openai: AsyncOpenAI, asked: dict[str, int]
) -> None:
    stream = await openai.chat.completions.create(
        model=MODEL,
        messages=STORY,
        stream=True,
        stream_options={"include_usage": True},
        extra_body=asked,
    )
    chunks = [item async for item in stream]
    reasons = [item.choices[0].finish_reason for item in chunks if item.choices]
    assert reasons[-1] == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == LIMIT


@pytest.mark.timeout(60)
async def test_a_caller_may_ask_for_less(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(model=MODEL, messages=STORY, max_tokens=5)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


async def test_a_limit_that_is_no_number_is_refused(http: httpx.AsyncClient) -> None:
    body = {"model": MODEL, "messages": STORY, "max_tokens": "many"}
    answer = await http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "max_tokens"

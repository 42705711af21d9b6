"""A turn is answered by the real local model, and stops when it should."""

import asyncio

import pytest
from orchestra.engines.testing import RunningModel
from orchestra_assistant.agent import make_agent
from orchestra_sdk.testing import ControlPlane, TaskFailed, serving

# A busy machine lets the model read and write a few tokens a second.
SLOW = 60.0
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(SLOW * 2)]


def turn(*words: str) -> dict[str, object]:
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(words)]
    return {"conversation_id": "c1", "model": None, "messages": messages}


@pytest.fixture(autouse=True)
def local_model(plane: ControlPlane, model: RunningModel) -> None:
    plane.model_base_url = model.url


async def test_a_question_is_answered_in_pieces(plane: ControlPlane, model: RunningModel) -> None:
    async with serving(make_agent(), plane):
        task = await plane.submit(
            "chat", turn("What is the capital of France?"), run_token=model.key
        )
        result = await task.result(SLOW)
    assert "Paris" in result["text"]
    assert result["text"] == task.text
    assert result["finish_reason"] == "stop"
    assert result["usage"]["prompt_tokens"] > 10
    assert result["usage"]["completion_tokens"] > 1
    assert len([e for e in task.events if e.WhichOneof("event") == "token"]) > 1


async def test_a_long_conversation_is_cut_to_what_the_model_reads(
    plane: ControlPlane, model: RunningModel
) -> None:
    words = [f"Tell me about the number {n}. " + "It is a number. " * 30 for n in range(101)]
    async with serving(make_agent(), plane):
        task = await plane.submit("chat", turn(*words), run_token=model.key)
        await task.wait_for(lambda task: bool(task.text) or task.finished, SLOW)
        task.cancel()
        with pytest.raises(TaskFailed, match="cancelled"):
            await task.result(SLOW)
    assert task.attempt == 1


async def test_a_message_longer_than_the_model_reads_says_so(
    plane: ControlPlane, model: RunningModel
) -> None:
    async with serving(make_agent(), plane):
        task = await plane.submit("chat", turn("word " * 5000), run_token=model.key)
        with pytest.raises(TaskFailed, match="longer than this model can read") as caught:
            await task.result(SLOW)
    assert caught.value.code == "message_too_long"
    assert task.attempt == 1


async def test_a_cancelled_answer_ends_at_once(plane: ControlPlane, model: RunningModel) -> None:
    async with serving(make_agent(), plane):
        task = await plane.submit(
            "chat", turn("Count from one to one thousand in words."), run_token=model.key
        )
        await task.wait_for(lambda task: bool(task.text), SLOW)
        task.cancel("enough")
        async with asyncio.timeout(10):
            with pytest.raises(TaskFailed, match="cancelled"):
                await task.result(SLOW)


async def test_a_wrong_credential_is_told_and_not_tried_again(plane: ControlPlane) -> None:
    async with serving(make_agent(), plane):
        task = await plane.submit("chat", turn("Hello"), run_token="wrong")
        with pytest.raises(TaskFailed, match="refused the request \\(401\\)") as caught:
            await task.result(SLOW)
    assert caught.value.code == "model_refused"
    assert task.attempt == 1


@pytest.mark.parametrize(
    "given", [{}, {"messages": []}, {"messages": [{"role": "robot", "content": "x"}]}]
)
async def test_a_turn_without_messages_is_invalid(
    plane: ControlPlane, given: dict[str, object]
) -> None:
    async with serving(make_agent(), plane):
        with pytest.raises(TaskFailed, match=r"input\.messages") as caught:
            await (await plane.submit("chat", given)).result()
    assert caught.value.code == "invalid_input"

"""A task that asks people waits without a slot, for as long as it takes."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from orchestra_sdk import Agent, Approval, ApprovalExpired, Context, SyncContext
from orchestra_sdk.testing import ControlPlane, SubmittedTask, TaskFailed, serving

pytestmark = pytest.mark.anyio


async def asked(task: SubmittedTask) -> None:
    await task.wait_for(lambda task: bool(task.questions) and task.state == "waiting")


@pytest.mark.parametrize("approved", [True, False])
async def test_effects_before_an_approval_are_not_repeated(
    plane: ControlPlane, approved: bool
) -> None:
    agent = Agent("pay", slots=1)
    effects: list[str] = []

    @agent.task("pay")
    async def pay(ctx: Context) -> Any:
        await ctx.step("reserve", lambda: effects.append("reserve"))
        said = await ctx.approve("Pay 7?", {"amount": 7}, timedelta(hours=1))
        if said.approved:
            await ctx.step("pay", lambda: effects.append("pay"))
        return said

    async with serving(agent, plane):
        task = await plane.submit("pay")
        await asked(task)
        question = task.questions["approve#1"]
        assert (question.question, question.content) == ("Pay 7?", {"amount": 7})
        assert (question.ttl_seconds, question.approve) == (3600, True)
        question.answer(approved, by="ada", comment="because")
        question.answer(not approved, by="eve")
        said = {"approved": approved, "answer": None, "by": "ada", "comment": "because"}
        assert await task.result() == said
    assert effects == (["reserve", "pay"] if approved else ["reserve"])


async def test_a_plain_handler_asks_for_an_answer(plane: ControlPlane) -> None:
    agent = Agent("ask", slots=1)

    @agent.task("ask")
    def ask(ctx: SyncContext) -> str:
        said = ctx.ask("Which?", choices=["red", "blue"], name="colour")
        assert isinstance(said, Approval)
        return f"{said.by} says {said.answer}"

    async with serving(agent, plane):
        task = await plane.submit("ask")
        await asked(task)
        assert task.questions["colour"].choices == ["red", "blue"]
        task.questions["colour"].answer(answer="blue", by="ada")
        assert await task.result() == "ada says blue"


async def test_a_question_expires(plane: ControlPlane) -> None:
    agent = Agent("ask", slots=1)

    @agent.task("caught")
    async def caught(ctx: Context) -> str:
        try:
            await ctx.approve("Now?", ttl=0.02)
        except ApprovalExpired as error:
            return str(error)
        return "answered"

    @agent.task("fails")
    async def fails(ctx: Context) -> None:
        await ctx.ask("Now?", ttl=0.02)

    async with serving(agent, plane):
        assert "in time" in await (await plane.submit("caught")).result()
        task = await plane.submit("fails")
        with pytest.raises(TaskFailed) as failed:
            await task.result()
    assert (failed.value.code, task.attempt) == ("approval_expired", 1)


async def test_a_question_has_words(plane: ControlPlane) -> None:
    agent = Agent("ask")

    @agent.task("ask")
    async def ask(ctx: Context) -> None:
        await ctx.ask("")

    async with serving(agent, plane):
        with pytest.raises(TaskFailed, match="1 to 4000 characters"):
            await (await plane.submit("ask", max_attempts=1)).result()


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("approve", {"question": "Pay 11?"}),
    ("approve", {"data": {"amount": 1_000_000}}),
    ("ask", {"choices": ["all", "nothing"]}),
]


@pytest.mark.parametrize(("word", "change"), CHANGES)
async def test_an_answer_is_not_used_for_another_question(
    plane: ControlPlane, word: str, change: dict[str, Any]
) -> None:
    agent = Agent("pay", slots=1)
    asks: dict[str, Any] = {"question": "Pay 10?", "data": {"amount": 10, "tip": 1.0}}
    effects: list[str] = []

    @agent.task("pay")
    async def pay(ctx: Context) -> None:
        await getattr(ctx, word)(**asks)
        await ctx.step("pay", lambda: effects.append("pay"))

    async with serving(agent, plane):
        task = await plane.submit("pay")
        await asked(task)
        asks.update(change)
        task.questions[f"{word}#1"].answer()
        with pytest.raises(TaskFailed, match=f"'{word}#1'") as failed:
            await task.result()
    assert (failed.value.code, failed.value.retryable) == ("nondeterministic", False)
    assert effects == []


async def test_an_open_question_cannot_be_changed(plane: ControlPlane) -> None:
    agent = Agent("pay", slots=1)

    @agent.task("pay")
    async def pay(ctx: Context) -> None:
        await asyncio.gather(ctx.approve("Pay?", {"run": ctx.epoch}), ctx.sleep(0.02))

    async with serving(agent, plane):
        task = await plane.submit("pay")
        with pytest.raises(TaskFailed, match="'approve#1'") as failed:
            await task.result()
    assert (failed.value.code, task.questions["approve#1"].answered) == ("nondeterministic", False)


async def test_an_answer_is_used_for_the_same_question_however_it_is_spelled(
    plane: ControlPlane,
) -> None:
    agent = Agent("pay", slots=1)
    content: dict[str, Any] = {"amount": 10.0, "rates": (1e-7, 0.5), "to": "Müller"}

    @agent.task("pay")
    async def pay(ctx: Context) -> bool:
        return (await ctx.approve("Pay?", content, 60)).approved

    async with serving(agent, plane):
        task = await plane.submit("pay")
        await asked(task)
        content.clear()
        content.update({"to": "Müller", "rates": [0.0000001, 0.5], "amount": 10})
        task.questions["approve#1"].answer()
        assert await task.result() is True


@pytest.mark.parametrize(
    "ttl", [0, -1, timedelta(0), True, "60", float("nan"), float("inf"), 10**400]
)
async def test_a_time_to_answer_is_above_zero(plane: ControlPlane, ttl: Any) -> None:
    agent = Agent("ask")

    @agent.task("ask")
    async def ask(ctx: Context) -> None:
        await ctx.approve("Now?", 1, ttl)

    async with serving(agent, plane):
        task = await plane.submit("ask")
        with pytest.raises(TaskFailed, match="'approve#1' cannot have the ttl") as failed:
            await task.result()
    assert (failed.value.code, task.attempt, task.questions) == ("bad_command", 1, {})

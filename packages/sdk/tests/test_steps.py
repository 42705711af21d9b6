"""What a handler has done as a step is not done again, whatever becomes of its run."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from orchestra_protocol import agent_pb2 as pb
from orchestra_sdk import Agent, Context, SyncContext, TaskError
from orchestra_sdk.testing import ControlPlane, TaskFailed, serving

pytestmark = pytest.mark.anyio


async def test_a_step_is_not_run_again_at_the_next_attempt(plane: ControlPlane) -> None:
    agent = Agent("steps")
    effects: list[str] = []

    @agent.task("pay")
    async def pay(ctx: Context, input: int) -> dict[str, Any]:
        def charge() -> str:
            effects.append(f"charge {input}")
            return f"receipt {len(effects)}"

        async def post() -> str:
            await asyncio.sleep(0)
            effects.append("post")
            return "posted"

        receipt = await ctx.step("charge", charge)
        if ctx.attempt == 1:
            raise RuntimeError("the attempt breaks off after the effect")
        return {"receipt": receipt, "post": await ctx.step("post", post)}

    async with serving(agent, plane):
        task = await plane.submit("pay", 7)
        assert await task.result() == {"receipt": "receipt 1", "post": "posted"}
    assert effects == ["charge 7", "post"]
    assert task.attempt == 2


async def test_a_plain_function_has_steps_too_also_async_ones(plane: ControlPlane) -> None:
    agent = Agent("steps")
    effects: list[str] = []

    @agent.task("pay")
    def pay(ctx: SyncContext) -> list[int]:
        async def late() -> int:
            await asyncio.sleep(0)
            effects.append("late")
            return 2

        def early() -> int:
            effects.append("early")
            return 1

        found = [ctx.step("early", early), ctx.step("late", late)]
        if ctx.attempt == 1:
            raise RuntimeError("again")
        return found

    async with serving(agent, plane):
        assert await (await plane.submit("pay")).result() == [1, 2]
    assert effects == ["early", "late"]


async def test_the_exception_of_a_step_is_not_kept(plane: ControlPlane) -> None:
    agent = Agent("steps")
    tries: list[int] = []

    @agent.task("flaky")
    async def flaky(ctx: Context) -> str:
        def work() -> str:
            tries.append(ctx.attempt)
            if len(tries) == 1:
                raise ConnectionError("not now")
            return "done"

        return await ctx.step("work", work)

    async with serving(agent, plane):
        assert await (await plane.submit("flaky")).result() == "done"
    assert tries == [1, 2]


async def test_a_step_returns_json_the_first_time_too(plane: ControlPlane) -> None:
    agent = Agent("steps")

    @dataclass
    class Point:
        x: int
        y: tuple[int, int]

    @agent.task("point")
    async def point(ctx: Context) -> Any:
        return {"got": await ctx.step("point", lambda: Point(1, (2, 3)))}

    async with serving(agent, plane):
        assert await (await plane.submit("point")).result() == {"got": {"x": 1, "y": [2, 3]}}


@pytest.mark.parametrize(
    ("output", "code", "says"),
    [
        (object(), "invalid_output", "step 'made': object has no JSON form"),
        ("x" * 2_000_000, "output_too_large", "step 'made' has 2000004 bytes"),
    ],
)
async def test_an_output_that_cannot_be_kept_fails_the_task(
    plane: ControlPlane, output: Any, code: str, says: str
) -> None:
    agent = Agent("steps")

    @agent.task("make")
    async def make(ctx: Context) -> None:
        await ctx.step("made", lambda: output)

    async with serving(agent, plane):
        with pytest.raises(TaskFailed, match=says) as caught:
            await (await plane.submit("make")).result()
    assert (caught.value.code, caught.value.retryable) == (code, False)


async def test_a_name_used_twice_is_refused(plane: ControlPlane) -> None:
    agent = Agent("steps")

    @agent.task("loop")
    async def loop(ctx: Context) -> None:
        for _ in range(2):
            await ctx.step("same", lambda: 1)

    async with serving(agent, plane):
        with pytest.raises(TaskFailed, match="is used twice") as caught:
            await (await plane.submit("loop")).result()
    assert caught.value.code == "duplicate_step"


async def test_a_handler_that_does_something_else_the_next_time_is_told(
    plane: ControlPlane,
) -> None:
    agent = Agent("steps")

    @agent.task("change")
    async def change(ctx: Context) -> None:
        if ctx.attempt == 1:
            await ctx.step("thing", lambda: 1)
            raise RuntimeError("again")
        await ctx.run("other", name="thing")

    async with serving(agent, plane):
        task = await plane.submit("change")
        with pytest.raises(TaskFailed, match="a child task now and was a step") as caught:
            await task.result()
    assert caught.value.code == "nondeterministic"
    assert task.attempt == 2


async def test_a_server_that_refuses_is_heard(plane: ControlPlane) -> None:
    agent = Agent("steps")

    @agent.task("change")
    async def change(ctx: Context) -> str:
        await ctx.spawn("nobody", name="thing")
        if ctx.attempt == 1:
            raise RuntimeError("again")
        return "never"

    @agent.task("refused")
    async def refused(ctx: Context) -> str:
        if ctx.attempt == 1:
            await ctx.spawn("nobody", name="thing")
            raise RuntimeError("again")
        with pytest.raises(TaskError, match="something else") as caught:
            await ctx.step("thing", lambda: 1)
        return caught.value.code

    async with serving(agent, plane):
        assert await (await plane.submit("refused")).result() == "nondeterministic"


@pytest.mark.parametrize("break_it", [ControlPlane.drop_streams, ControlPlane.restart])
async def test_a_command_whose_answer_was_lost_is_sent_again(
    plane: ControlPlane, break_it: Any
) -> None:
    agent = Agent("steps")
    effects: list[int] = []

    @agent.task("pay")
    async def pay(ctx: Context) -> str:
        await ctx.step("charge", lambda: effects.append(1))
        return "paid"

    async with serving(agent, plane):
        plane.replying = False
        task = await plane.submit("pay")
        await task.wait_for(lambda task: "charge" in task.steps)
        plane.replying = True
        if (broken := break_it(plane)) is not None:
            await broken
        assert await task.result() == "paid"
    assert (effects, task.attempt) == ([1], 1)


async def test_what_was_said_before_a_step_arrives_before_it(plane: ControlPlane) -> None:
    agent = Agent("steps")
    order: list[str] = []
    seen: asyncio.Event = asyncio.Event()

    @agent.task("talk")
    async def talk(ctx: Context) -> None:
        for number in range(100):
            await ctx.emit(f"{number} ")
        await ctx.step("kept", lambda: None)
        await seen.wait()

    async with serving(agent, plane):
        task = await plane.submit("talk")
        await task.wait_for(lambda task: "kept" in task.steps)
        order.append(task.text)
        seen.set()
        await task.result()
    assert order == ["".join(f"{number} " for number in range(100))]


async def test_a_run_that_lost_its_lease_keeps_nothing_more(plane: ControlPlane) -> None:
    agent = Agent("steps")
    begun, onward = asyncio.Event(), asyncio.Event()
    ends: list[str] = []

    @agent.task("slow")
    async def slow(ctx: Context) -> str:
        if ctx.attempt == 1:
            begun.set()
            try:
                await ctx.step("slow", onward.wait)
            except asyncio.CancelledError:
                ends.append("cancelled")
                raise
        return await ctx.step("slow", lambda: "second")

    async with serving(agent, plane):
        task = await plane.submit("slow")
        await begun.wait()
        task.revoke()
        assert await task.result() == "second"
    assert ends == ["cancelled"]
    assert list(task.steps) == ["slow"]


async def test_a_plain_handler_that_waits_for_an_answer_can_be_cancelled(
    plane: ControlPlane,
) -> None:
    agent = Agent("steps")

    @agent.task("wait")
    def wait(ctx: SyncContext) -> None:
        ctx.step("kept", lambda: 1)

    async with serving(agent, plane):
        plane.replying = False
        task = await plane.submit("wait")
        await task.wait_for(lambda task: "kept" in task.steps)
        task.cancel("enough")
        with pytest.raises(TaskFailed, match="cancelled"):
            await task.result()
    assert task.events[-1] == pb.AgentEvent(sequence=1, cancelled=pb.Cancelled(reason="enough"))


async def test_a_step_may_hold_steps_but_cannot_wait(plane: ControlPlane) -> None:
    agent = Agent("steps")

    @agent.task("nest")
    async def nest(ctx: Context) -> int:
        async def outer() -> int:
            return 1 + await ctx.step("inner", lambda: 1)

        return await ctx.step("outer", outer)

    @agent.task("plain")
    def plain(ctx: SyncContext) -> None:
        ctx.step("outer", lambda: ctx.sleep(1))

    @agent.task("wait")
    async def wait(ctx: Context) -> None:
        await ctx.step("outer", lambda: ctx.run("nest"))

    async with serving(agent, plane):
        assert await (await plane.submit("nest")).result() == 2
        for capability in ("wait", "plain"):
            with pytest.raises(TaskFailed, match="cannot wait") as failed:
                await (await plane.submit(capability)).result()
            assert failed.value.code == "wait_in_step"

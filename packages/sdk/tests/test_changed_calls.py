"""The result of a child is used for the call that was made, not for what the handler calls now."""

from typing import Any

import pytest
from orchestra_sdk import Agent, Context, TaskError
from orchestra_sdk.testing import ControlPlane, TaskFailed, serving

pytestmark = pytest.mark.anyio


def crew() -> Agent:
    agent = Agent("crew", slots=2)

    @agent.task("double")
    async def double(ctx: Context, input: int) -> int:
        return input * 2

    return agent


async def changed(plane: ControlPlane, first: dict[str, Any], then: dict[str, Any]) -> Any:
    """The result of a parent whose call has ended when it becomes another one."""
    agent, call = crew(), dict(first)

    @agent.task("treble")
    async def treble(ctx: Context, input: int) -> int:
        return input * 3

    @agent.task("parent")
    async def parent(ctx: Context) -> int:
        found = await ctx.run(**call)
        await ctx.approve("Go on?")
        return found

    async with serving(agent, plane):
        task = await plane.submit("parent")
        await task.wait_for(lambda task: bool(task.questions) and task.state == "waiting")
        call.clear()
        call.update(then)
        task.questions["approve#1"].answer()
        return await task.result()


ONE: dict[str, Any] = {"capability": "double", "input": 1.0, "name": "x"}


@pytest.mark.parametrize("change", [{"input": 2}, {"capability": "treble"}])
async def test_a_result_is_not_used_for_another_call(
    plane: ControlPlane, change: dict[str, Any]
) -> None:
    with pytest.raises(TaskFailed, match="'x' is a child task, but not the one") as failed:
        await changed(plane, ONE, {**ONE, **change})
    assert (failed.value.code, failed.value.retryable) == ("nondeterministic", False)


@pytest.mark.parametrize("change", [{"input": 1}, {"priority": "high", "max_attempts": 2}])
async def test_how_a_child_is_run_may_change(plane: ControlPlane, change: dict[str, Any]) -> None:
    assert await changed(plane, ONE, {**ONE, **change}) == 2


async def test_a_child_at_work_cannot_become_another(plane: ControlPlane) -> None:
    agent = crew()

    @agent.task("parent")
    async def parent(ctx: Context) -> None:
        await ctx.spawn("nobody", ctx.attempt, name="x")
        raise TaskError("again", retryable=True)

    async with serving(agent, plane):
        task = await plane.submit("parent")
        with pytest.raises(TaskFailed, match="'x' was other work") as failed:
            await task.result()
    assert (failed.value.code, task.attempt) == ("nondeterministic", 2)

"""A parent that waits for child tasks has no slot, and goes on where it was."""

import asyncio
from typing import Any

import pytest
from orchestra_sdk import Agent, Child, ChildFailed, Context, SyncContext, TaskError
from orchestra_sdk.testing import ControlPlane, TaskFailed, serving

pytestmark = pytest.mark.anyio


def crew(*, slots: int = 1) -> Agent:
    """An agent that doubles numbers, fails on negative ones, and never ends on zero."""
    agent = Agent("crew", slots=slots)

    @agent.task("double")
    async def double(ctx: Context, input: int) -> int:
        if input < 0:
            raise TaskError("too small", code="negative")
        if input == 0:
            await asyncio.Event().wait()
        return input * 2

    return agent


async def test_a_parent_and_its_children_share_one_slot(plane: ControlPlane) -> None:
    agent = crew(slots=1)
    runs: list[int] = []

    @agent.task("parent")
    async def parent(ctx: Context, input: int) -> int:
        runs.append(ctx.epoch)
        await ctx.emit("so far ")
        first = await ctx.run("double", input)
        return await ctx.run("double", first)

    async with serving(agent, plane):
        task = await plane.submit("parent", 3)
        assert await task.result() == 12
    assert (task.attempt, task.text, task.gaps) == (1, "so far ", [])
    assert len(set(runs)) == len(runs) == 3
    assert list(task.steps) == ["double#1", "double#2"]
    assert [child.assignment.parent_id for child in task.children.values()] == [task.id] * 2


async def test_a_plain_parent_waits_the_same_way(plane: ControlPlane) -> None:
    agent = crew(slots=1)
    left: list[str] = []

    @agent.task("parent")
    def parent(ctx: SyncContext, input: int) -> list[int]:
        try:
            child = ctx.spawn("double", input, name="first")
            return [*ctx.gather(child, ctx.call("double", 5)), ctx.run("double", 7)]
        except Exception:  # noqa: BLE001 - what an author might write
            return []
        finally:
            left.append(f"cancelled: {ctx.cancelled}")

    async with serving(agent, plane):
        task = await plane.submit("parent", 1)
        assert await task.result() == [2, 10, 14]
    assert left == ["cancelled: False"] * 3
    assert task.attempt == 1


async def test_the_signal_passes_what_authors_catch_and_runs_what_they_clean_up(
    plane: ControlPlane,
) -> None:
    agent = crew()
    closed: list[int] = []

    @agent.task("parent")
    async def parent(ctx: Context) -> int:
        try:
            return await ctx.run("double", 2)
        except Exception:  # noqa: BLE001 - what an author might write
            return -1
        finally:
            await ctx.emit("is said to nobody")
            closed.append(ctx.epoch)

    @agent.task("swallow")
    async def swallow(ctx: Context) -> int:
        try:
            return await ctx.run("double", 2)
        except BaseException:  # noqa: BLE001 - what no author should write
            return -1

    async with serving(agent, plane):
        assert await (await plane.submit("parent")).result() == 4
        assert await (await plane.submit("swallow")).result() == 4
    assert len(closed) == 2


async def test_two_hundred_children_are_one_command_and_one_wait(plane: ControlPlane) -> None:
    agent = crew(slots=16)
    runs: list[int] = []

    @agent.task("fan")
    async def fan(ctx: Context, input: int) -> int:
        runs.append(ctx.epoch)
        return sum(await ctx.gather(*(ctx.call("double", n + 1) for n in range(input))))

    async with serving(agent, plane):
        task = await plane.submit("fan", 200)
        assert await task.result() == 200 * 201
    assert len(runs) == 2
    assert len(task.children) == 200


async def test_a_failed_child_raises_in_its_parent(plane: ControlPlane) -> None:
    agent = crew()

    @agent.task("lenient")
    async def lenient(ctx: Context) -> list[Any]:
        found = await ctx.gather(
            ctx.call("double", 1), ctx.call("double", -1), return_exceptions=True
        )
        return [item.code if isinstance(item, ChildFailed) else item for item in found]

    @agent.task("caught")
    async def caught(ctx: Context) -> list[str]:
        try:
            await ctx.run("double", -1, max_attempts=1)
        except ChildFailed as error:
            return [error.code, error.message, error.task_id]
        return []

    @agent.task("strict")
    async def strict(ctx: Context) -> Any:
        return await ctx.gather(ctx.call("double", 1), ctx.call("double", -1))

    async with serving(agent, plane):
        assert await (await plane.submit("lenient")).result() == [2, "negative"]
        task = await plane.submit("caught")
        child_id = (await task.result())[2]
        assert await task.result() == ["negative", "double#1: too small", child_id]
        assert task.children["double#1"].id == child_id
        task = await plane.submit("strict")
        with pytest.raises(TaskFailed, match="double#2: too small") as failed:
            await task.result()
    assert (failed.value.code, failed.value.retryable, task.attempt) == ("negative", False, 1)


async def test_a_spawned_child_runs_while_its_parent_does(plane: ControlPlane) -> None:
    agent = crew(slots=2)

    @agent.task("parent")
    async def parent(ctx: Context) -> dict[str, Any]:
        child = await ctx.spawn("double", 4, name="beside", priority="high")
        assert isinstance(child, Child)
        before = child.task_id
        found = await ctx.gather(child)
        return {"ids": [before, child.task_id], "found": found, "text": repr(child)}

    async with serving(agent, plane):
        task = await plane.submit("parent")
        result = await task.result()
    child_id = task.children["beside"].id
    assert result["found"] == [8]
    assert result["ids"] == [child_id, child_id]
    assert result["text"] == f"Child('beside', task_id={child_id!r})"


async def test_children_end_with_their_parent_unless_they_are_detached(
    plane: ControlPlane,
) -> None:
    agent = crew(slots=8)

    @agent.task("parent")
    async def parent(ctx: Context) -> None:
        await ctx.spawn("double", 0, name="attached")
        await ctx.spawn("double", 0, name="detached", detached=True)

    async with serving(agent, plane):
        task = await plane.submit("parent")
        await task.result()
        await task.children["attached"].wait_for(lambda child: child.state == "cancelled")
        assert not task.children["detached"].finished


async def test_a_waiting_parent_can_be_cancelled_with_its_children(plane: ControlPlane) -> None:
    agent = crew()

    @agent.task("parent")
    async def parent(ctx: Context) -> None:
        await ctx.run("double", 0)

    async with serving(agent, plane):
        task = await plane.submit("parent")
        await task.wait_for(lambda task: task.state == "waiting")
        child = task.children["double#1"]
        await child.wait_for(lambda child: child.state == "running")
        task.cancel()
        with pytest.raises(TaskFailed, match="cancelled"):
            await task.result()
        await child.wait_for(lambda child: child.state == "cancelled")


@pytest.mark.parametrize("grouped", [True, False])
async def test_branches_side_by_side_wait_together(plane: ControlPlane, grouped: bool) -> None:
    agent = crew(slots=4)
    effects: list[str] = []

    @agent.task("parent")
    async def parent(ctx: Context) -> list[int]:
        async def branch(name: str, number: int) -> int:
            def effect() -> None:
                effects.append(name)

            await ctx.step(f"{name} begins", effect)
            half = await ctx.run("double", number, name=f"{name} 1")
            await ctx.step(f"{name} goes on", effect)
            return await ctx.run("double", half, name=f"{name} 2")

        if not grouped:
            return list(await asyncio.gather(branch("a", 1), branch("b", 10)))
        async with asyncio.TaskGroup() as group:
            branches = [group.create_task(branch(name, 1)) for name in "ab"]
        return [branch.result() for branch in branches]

    async with serving(agent, plane):
        task = await plane.submit("parent")
        assert await task.result() == ([4, 4] if grouped else [4, 40])
    assert sorted(effects) == ["a", "a", "b", "b"]
    assert task.attempt == 1


async def test_one_slow_branch_does_not_hold_the_others_back(plane: ControlPlane) -> None:
    agent = crew(slots=4)

    @agent.task("parent")
    async def parent(ctx: Context) -> list[Any]:
        async def asks() -> Any:
            return (await ctx.approve("Go on?")).approved

        async def works() -> int:
            return await ctx.run("double", await ctx.run("double", 1))

        return list(await asyncio.gather(asks(), works()))

    async with serving(agent, plane):
        task = await plane.submit("parent")
        await task.wait_for(lambda task: "double#2" in task.steps)
        task.questions["approve#1"].answer()
        assert await task.result() == [True, 4]


async def test_a_step_in_one_branch_keeps_the_slot_of_the_whole_run(plane: ControlPlane) -> None:
    agent = crew(slots=2)
    finish = asyncio.Event()
    effects: list[int] = []

    @agent.task("parent")
    async def parent(ctx: Context) -> list[Any]:
        async def effect() -> str:
            await finish.wait()
            effects.append(ctx.epoch)
            return "done"

        return list(await asyncio.gather(ctx.run("double", 1), ctx.step("long", effect)))

    async with serving(agent, plane):
        task = await plane.submit("parent")
        await task.wait_for(lambda task: "double#1" in task.steps)
        assert task.state == "running"
        finish.set()
        assert await task.result() == [2, "done"]
    assert len(effects) == 1


async def test_a_wait_whose_answer_was_lost_goes_on_under_the_next_lease(
    plane: ControlPlane,
) -> None:
    agent = Agent("crew", slots=2)
    spawned, onward, finish = asyncio.Event(), asyncio.Event(), asyncio.Event()
    ends: list[str] = []

    @agent.task("child")
    async def child(ctx: Context) -> str:
        await finish.wait()
        return "done"

    @agent.task("parent")
    async def parent(ctx: Context) -> list[str]:
        started = await ctx.spawn("child")
        spawned.set()
        await onward.wait()
        try:
            return await ctx.gather(started)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    async with serving(agent, plane):
        task = await plane.submit("parent")
        await spawned.wait()
        plane.replying = False
        onward.set()
        await task.wait_for(lambda task: task.state == "waiting")
        plane.replying = True
        finish.set()
        assert await task.result() == ["done"]
    assert (ends, task.attempt) == (["cancelled"], 1)


async def test_a_timer_frees_the_slot(plane: ControlPlane) -> None:
    agent = crew()

    @agent.task("nap")
    async def nap(ctx: Context) -> int:
        await ctx.sleep(0.05)
        await ctx.sleep(0)
        return ctx.epoch

    async with serving(agent, plane):
        task = await plane.submit("nap")
        await task.wait_for(lambda task: task.state == "waiting")
        assert await task.result() > 2
    assert list(task.steps) == ["sleep#1"]


async def test_timers_side_by_side_begin_together(plane: ControlPlane) -> None:
    agent = crew()

    @agent.task("naps")
    async def naps(ctx: Context, input: int) -> list[Any]:
        both = asyncio.gather(ctx.sleep(0.05), ctx.sleep(0.1), ctx.sleep(3600))
        child = await ctx.run("double", input)
        try:
            return [child, await both]
        except TaskError as error:
            return [child, error.code]

    async with serving(agent, plane):
        task = await plane.submit("naps", 1)
        await task.wait_for(lambda task: {"sleep#1", "sleep#2"} <= task.steps.keys())
        assert list(task.timers) == ["sleep#1", "sleep#2", "sleep#3"]
        task.cancel()
        await task.wait_for(lambda task: task.finished)
    assert list(task.children) == ["double#1"]


async def test_wrong_options_are_named(plane: ControlPlane) -> None:
    agent = crew()

    @agent.task("parent")
    async def parent(ctx: Context) -> list[str]:
        said: list[str] = []
        for wrong in ({"priority": "urgent"}, {"colour": "red"}):
            try:
                ctx.call("double", 1, **wrong)  # type: ignore[arg-type]
            except (ValueError, TypeError) as error:
                said.append(str(error))
        return said

    async with serving(agent, plane):
        said = await (await plane.submit("parent")).result()
    assert "not 'urgent'" in said[0]
    assert "colour" in said[1]


async def test_a_child_knows_its_parent(plane: ControlPlane) -> None:
    agent = Agent("family", slots=1)

    @agent.task("child")
    def child(ctx: SyncContext) -> str:
        return ctx.parent_id

    @agent.task("parent")
    async def parent(ctx: Context) -> list[str]:
        return [ctx.parent_id, await ctx.run("child")]

    async with serving(agent, plane):
        task = await plane.submit("parent")
        assert await task.result() == ["", task.id]

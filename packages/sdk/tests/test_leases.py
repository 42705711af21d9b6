"""How a run ends before its handler wants it to: cancelled, revoked, or as the agent leaves."""

import asyncio
import threading

import pytest
from orchestra_protocol import agent_pb2 as pb
from orchestra_sdk import Agent, Context, SyncContext, TaskCancelled
from orchestra_sdk.testing import ControlPlane, TaskFailed, serving, until

pytestmark = pytest.mark.anyio

BOUND = 10.0
Counting = tuple[Agent, asyncio.Event]


async def test_a_cancelled_async_handler_cleans_up_and_ends_cancelled(plane: ControlPlane) -> None:
    agent = Agent("cancel")
    seen: list[str] = []

    @agent.task("wait")
    async def wait(ctx: Context) -> None:
        await ctx.emit("started")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(str(ctx.cancelled))
            await ctx.emit(" cleaned up")
            raise

    async with serving(agent, plane):
        task = await plane.submit("wait")
        await task.wait_for(lambda task: bool(task.events))
        task.cancel("enough")
        with pytest.raises(TaskFailed, match="cancelled"):
            await task.result()
    assert seen == ["True"]
    assert task.text == "started cleaned up"
    assert task.events[-1].cancelled.reason == "enough"


async def test_a_cancelled_plain_function_leaves_at_its_next_word(plane: ControlPlane) -> None:
    agent = Agent("cancel")
    seen: list[type[BaseException]] = []

    @agent.task("talk")
    def talk(ctx: SyncContext) -> None:
        try:
            while True:
                ctx.emit("on and on ")
        except TaskCancelled as error:
            seen.append(type(error))
            raise

    async with serving(agent, plane):
        task = await plane.submit("talk")
        await task.wait_for(lambda task: bool(task.events))
        task.cancel()
        with pytest.raises(TaskFailed, match="cancelled"):
            await task.result()
    assert seen == [TaskCancelled]


async def test_a_handler_may_answer_although_it_was_cancelled(plane: ControlPlane) -> None:
    agent = Agent("stubborn")

    @agent.task("finish")
    async def finish(ctx: Context) -> str:
        await ctx.emit("started")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "partial"
        return "never"

    async with serving(agent, plane):
        task = await plane.submit("finish")
        await task.wait_for(lambda task: bool(task.events))
        task.cancel()
        assert await task.result() == "partial"


async def test_a_cancellation_of_the_handlers_own_making_is_a_failure(plane: ControlPlane) -> None:
    agent = Agent("own")

    @agent.task("own")
    async def own(ctx: Context) -> None:
        raise asyncio.CancelledError

    async with serving(agent, plane):
        task = await plane.submit("own", max_attempts=1)
        with pytest.raises(TaskFailed, match="handler_error"):
            await task.result()


async def test_a_revoked_run_is_stopped_and_the_next_lease_begins_anew(plane: ControlPlane) -> None:
    agent = Agent("revoke")
    stopped: list[int] = []

    @agent.task("work")
    async def work(ctx: Context) -> str:
        await ctx.emit(f"attempt {ctx.attempt}")
        if ctx.attempt == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                stopped.append(ctx.epoch)
                await ctx.emit("nobody hears this")
                raise
        return "done"

    async with serving(agent, plane):
        task = await plane.submit("work")
        await task.wait_for(lambda task: bool(task.events))
        task.revoke()
        assert await task.result() == "done"
        await task.wait_for(lambda task: task.stopped == [2])
    assert stopped == [2]
    assert (task.attempt, task.epoch, task.text) == (2, 4, "attempt 2")
    assert task.refused == 0


async def test_the_server_learns_when_a_handler_leaves_that_did_not_heed_the_revocation(
    plane: ControlPlane,
) -> None:
    agent = Agent("stubborn", slots=2)
    revoked, onward = asyncio.Event(), asyncio.Event()

    @agent.task("work")
    async def work(ctx: Context) -> str:
        await ctx.emit("started")
        if ctx.attempt == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                revoked.set()
                await onward.wait()
        return "done"

    async with serving(agent, plane):
        task = await plane.submit("work")
        await task.wait_for(lambda task: bool(task.events))
        task.revoke()
        async with asyncio.timeout(BOUND):
            await revoked.wait()
        assert await task.result() == "done"
        assert task.stopped == [], "the first handler is still there"
        onward.set()
        await task.wait_for(lambda task: task.stopped == [2])
    assert task.refused == 0


async def test_a_lease_that_the_welcome_does_not_name_is_given_up(plane: ControlPlane) -> None:
    plane.lease_seconds = 0.05  # the plane takes the task away before the agent is back
    agent = Agent("away")
    stopped = asyncio.Event()

    @agent.task("work")
    async def work(ctx: Context) -> str:
        await ctx.emit("started")
        if ctx.attempt == 1:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()
        return "done"

    async with serving(agent, plane):
        task = await plane.submit("work")
        await task.wait_for(lambda task: bool(task.events))
        await plane.stop()
        await task.wait_for(lambda task: task.state == "queued")
        await plane.start()
        assert await task.result() == "done"
        assert stopped.is_set()
    assert task.attempt == 2


async def test_a_handler_that_left_while_its_lease_was_lost_is_said_to_have_stopped(
    plane: ControlPlane,
) -> None:
    plane.lease_seconds = 0.05
    agent = Agent("away")
    onward = asyncio.Event()

    @agent.task("work")
    async def work(ctx: Context) -> str:
        await ctx.emit("started")
        if ctx.attempt == 1:
            await onward.wait()
        return "done"

    async with serving(agent, plane):
        task = await plane.submit("work")
        await task.wait_for(lambda task: bool(task.events))
        await plane.stop()
        await task.wait_for(lambda task: task.state == "queued")
        onward.set()
        await plane.start()
        await task.wait_for(lambda task: task.stopped == [2])
        assert await task.result() == "done"
    assert task.refused == 0


async def test_an_assignment_that_comes_twice_runs_once(plane: ControlPlane) -> None:
    agent = Agent("twice")
    started: list[str] = []
    onward = asyncio.Event()

    @agent.task("work")
    async def work(ctx: Context) -> int:
        started.append(ctx.task_id)
        await onward.wait()
        return len(started)

    async with serving(agent, plane) as connected:
        task = await plane.submit("work")
        await until(lambda: bool(started))
        plane.assign(task, connected)
        onward.set()
        assert await task.result() == 1
        plane.assign(task, connected)  # and once more after its end
        other = await plane.submit("work")
        assert await other.result() == 2
    assert started == [task.id, other.id]


async def test_stopping_waits_for_the_running_task_and_takes_nothing_new(
    plane: ControlPlane, counting: Counting
) -> None:
    agent, onward = counting
    served = asyncio.ensure_future(agent.serve(url=plane.url, key=plane.key))
    connected = await plane.agent(agent.name)
    task = await plane.submit("count", 4)
    await task.wait_for(lambda task: bool(task.events))
    agent.stop()
    await until(lambda: connected.draining)
    late = await plane.submit("count", 1)
    onward.set()
    await asyncio.wait_for(served, BOUND)
    assert await task.result() == 4
    assert late.state == "queued"


async def test_stopping_does_not_wait_longer_than_the_grace_period(plane: ControlPlane) -> None:
    agent = Agent("leaves", grace_seconds=0.1)
    never = threading.Event()

    @agent.task("stuck")
    def stuck(ctx: SyncContext) -> None:
        ctx.emit("stuck")
        never.wait(BOUND)

    served = asyncio.ensure_future(agent.serve(url=plane.url, key=plane.key))
    task = await plane.submit("stuck")
    await plane.agent("leaves")
    await task.wait_for(lambda task: bool(task.events))
    agent.stop()
    await asyncio.wait_for(served, BOUND)
    await task.wait_for(lambda task: task.state == "queued")  # a retryable failure ended the lease
    never.set()


async def test_messages_of_another_epoch_are_ignored(
    plane: ControlPlane, counting: Counting
) -> None:
    agent, onward = counting
    async with serving(agent, plane):
        task = await plane.submit("count", 2)
        await task.wait_for(lambda task: bool(task.events))
        task.epoch -= 1
        plane.tell(task, pb.TASK_TYPE_CANCEL, pb.Cancel(reason="old"))
        plane.tell(task, pb.TASK_TYPE_REVOKE, pb.Revoke(reason="old"))
        task.epoch += 1
        other = await plane.submit("count", 0)
        assert await other.result() == 0  # the stream is in order: the two were received before
        onward.set()
        assert await task.result() == 2


@pytest.mark.parametrize(("state", "reason"), [("cancelling", "cancelled"), ("stale", "over")])
async def test_a_run_learns_its_end_from_a_refusal_too(
    plane: ControlPlane, state: str, reason: str
) -> None:
    agent = Agent("late")
    onward, left = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    @agent.task("late")
    async def late(ctx: Context) -> None:
        await ctx.emit("started")
        await onward.wait()
        try:
            await ctx.run("other")
        except asyncio.CancelledError as error:
            seen.append(str(error))
            raise
        finally:
            left.set()

    async with serving(agent, plane):
        task = await plane.submit("late")
        await task.wait_for(lambda task: bool(task.events))
        if state == "stale":
            task.epoch += 1  # the lease is lost, and nobody has said so yet
        else:
            task.state = state
        onward.set()
        async with asyncio.timeout(BOUND):
            await left.wait()
        if state == "cancelling":
            await task.wait_for(lambda task: task.state == "cancelled")
    assert reason in seen[0]

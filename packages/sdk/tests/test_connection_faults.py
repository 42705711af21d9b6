"""What an agent does when the network, the control plane or a blocking handler misbehaves."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from orchestra_sdk import AccessDenied, Agent, Context, NotConfigured
from orchestra_sdk.testing import ControlPlane, serving, until

pytestmark = pytest.mark.anyio

BOUND = 10.0
Counting = tuple[Agent, asyncio.Event]


@asynccontextmanager
async def serving_elsewhere(agent: Agent, plane: ControlPlane) -> AsyncGenerator[None]:
    """Serve on an event loop in a thread, so that a handler may block that loop."""

    def serve() -> None:
        asyncio.run(agent.serve(url=plane.url, key=plane.key))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    await plane.agent(agent.name)
    try:
        yield
    finally:
        agent.stop()
        agent.stop()
        await asyncio.to_thread(thread.join, BOUND)


def words(upto: int) -> str:
    return "".join(f"{number} " for number in range(upto))


async def test_a_stream_dropped_in_mid_answer_loses_and_doubles_nothing(
    plane: ControlPlane, counting: Counting
) -> None:
    agent, onward = counting
    async with serving(agent, plane) as connected:
        task = await plane.submit("count", 400)
        await task.wait_for(lambda task: len(task.events) == 201)
        plane.drop_streams()
        onward.set()
        await until(lambda: len(connected.hellos) == 2)
        assert await task.result() == 400
    assert task.text == words(400)
    assert (task.attempt, task.gaps, task.duplicates, task.refused) == (1, [], 0, 0)
    held = connected.hellos[1].running
    assert [(item.task_id, item.epoch) for item in held] == [(task.id, 2)]


async def test_streams_dropped_again_and_again_lose_nothing(plane: ControlPlane) -> None:
    agent = Agent("count")

    @agent.task("slow")
    async def slow(ctx: Context, input: int) -> int:
        for number in range(input):
            await ctx.emit(f"{number} ")
            await asyncio.sleep(0.001)
        return input

    async with serving(agent, plane) as connected:
        tasks = [await plane.submit("slow", 600) for _ in range(5)]
        for number in range(3):
            for task in tasks:
                await task.wait_for(lambda task, least=number * 100: len(task.events) >= least)
            plane.drop_streams()
            await until(lambda count=number + 2: len(connected.hellos) == count)
        assert [await task.result() for task in tasks] == [600] * 5
    assert [task.text for task in tasks] == [words(600)] * 5
    assert all(task.attempt == 1 and not task.gaps for task in tasks)


async def test_events_whose_acknowledgement_was_lost_are_not_kept_twice(
    plane: ControlPlane, counting: Counting
) -> None:
    agent, onward = counting
    async with serving(agent, plane):
        plane.acknowledging = False
        task = await plane.submit("count", 100)
        await task.wait_for(lambda task: len(task.events) == 51)
        plane.drop_streams()
        plane.acknowledging = True
        onward.set()
        assert await task.result() == 100
    assert task.text == words(100)
    assert (task.gaps, task.duplicates) == ([], 0)


async def test_a_result_is_held_until_it_is_acknowledged_for_good(
    plane: ControlPlane, counting: Counting
) -> None:
    agent, onward = counting
    onward.set()
    async with serving(agent, plane) as connected:
        plane.acknowledging = False
        task = await plane.submit("count", 3)
        assert await task.result() == 3
        plane.drop_streams()
        await until(lambda: len(connected.hellos) == 2)
        assert [item.task_id for item in connected.hellos[1].running] == [task.id]
        plane.acknowledging = True
        plane.drop_streams()
        await until(lambda: len(connected.hellos) == 3)
        assert list(connected.hellos[2].running) == []  # the welcome had not named it any more


async def test_a_result_whose_acknowledgement_was_lost_stands(
    plane: ControlPlane, counting: Counting
) -> None:
    agent, onward = counting
    onward.set()
    async with serving(agent, plane):
        plane.acknowledging = False
        task = await plane.submit("count", 3)
        assert await task.result() == 3
        plane.drop_streams()
        await task.wait_for(lambda task: task.stopped == [2])  # said of what is given up
        assert await task.result() == 3
    assert (task.refused, task.duplicates) == (0, 0)


async def test_a_restarted_control_plane_finds_the_answer_going_on(
    plane: ControlPlane, counting: Counting
) -> None:
    agent, onward = counting
    async with serving(agent, plane):
        task = await plane.submit("count", 200)
        await task.wait_for(lambda task: len(task.events) == 101)
        await plane.restart()
        onward.set()
        assert await task.result() == 200
    assert task.text == words(200)
    assert task.attempt == 1


async def test_an_agent_started_before_the_control_plane_waits_for_it(counting: Counting) -> None:
    plane = ControlPlane()
    await plane.start()
    await plane.stop()
    agent, onward = counting
    onward.set()
    try:
        async with asyncio.timeout(BOUND):
            starting = asyncio.ensure_future(agent.serve(url=plane.url, key=plane.key))
            await asyncio.sleep(0)
            await plane.start()
            task = await plane.submit("count", 2)
            assert await task.result() == 2
            agent.stop()
            await starting
    finally:
        await plane.stop()


async def test_a_handler_waits_while_nobody_acknowledges(plane: ControlPlane) -> None:
    agent = Agent("flood")
    said: list[int] = []

    @agent.task("flood")
    async def flood(ctx: Context, input: int) -> int:
        for number in range(input):
            await ctx.emit("x" * 1000)
            said.append(number)
        return input

    async with serving(agent, plane):
        plane.acknowledging = False
        task = await plane.submit("flood", 3000)
        await task.wait_for(lambda task: len(task.events) >= 1000)
        await until(lambda: len(said) == len(task.events))
        assert len(said) < 1100  # 1 MiB of 1,000-character events
        plane.acknowledging = True
        plane.drop_streams()
        assert await task.result() == 3000
    assert len(task.text) == 3_000_000


async def test_a_handler_that_blocks_the_event_loop_does_not_look_dead(
    plane: ControlPlane,
) -> None:
    agent = Agent("blocks")
    release = threading.Event()

    @agent.task("block")
    async def block(ctx: Context) -> str:
        await ctx.emit("blocking")
        release.wait(BOUND)  # blocking on purpose: this is the mistake that authors make
        return "done"

    async with serving_elsewhere(agent, plane):
        connected = await plane.agent("blocks")
        task = await plane.submit("block")
        await task.wait_for(lambda task: task.text == "blocking")
        before = len(connected.heartbeats)
        await until(lambda: len(connected.heartbeats) >= before + 5)
        assert connected.heartbeats[-1].slots_in_use == 1
        release.set()
        assert await task.result() == "done"
    assert len(connected.hellos) == 1


async def test_heartbeats_carry_real_figures_and_the_round_trip(
    plane: ControlPlane, counting: Counting
) -> None:
    agent, _ = counting
    async with serving(agent, plane) as connected:
        await until(lambda: len(connected.heartbeats) >= 3)
    last = connected.heartbeats[-1]
    assert 0 < last.resources.memory_usage < 1
    assert 0 < last.resources.disk_usage <= 1
    assert 0 <= last.resources.cpu_usage <= 1
    assert last.round_trip_seconds > 0
    assert [beat.sequence for beat in connected.heartbeats[:3]] == [1, 2, 3]


async def test_a_control_plane_that_falls_silent_is_left_and_found_again(
    plane: ControlPlane, counting: Counting
) -> None:
    plane.lease_seconds = 0.3
    agent, onward = counting
    onward.set()
    async with serving(agent, plane) as connected:
        plane.delay_seconds = 30
        await until(lambda: connected.stream is None or len(connected.hellos) > 1)
        plane.delay_seconds = 0
        task = await plane.submit("count", 2)
        assert await task.result() == 2
        assert len(connected.hellos) >= 2


async def test_a_draining_control_plane_is_left_with_the_tasks_going_on(
    plane: ControlPlane, counting: Counting
) -> None:
    agent, onward = counting
    async with serving(agent, plane) as connected:
        task = await plane.submit("count", 10)
        await task.wait_for(lambda task: bool(task.events))
        plane.drain(connected)
        await until(lambda: len(connected.hellos) == 2)
        onward.set()
        assert await task.result() == 10
    assert task.text == words(10)


async def test_a_key_that_never_worked_is_fatal_and_says_so(
    plane: ControlPlane, counting: Counting
) -> None:
    plane.denying = True
    agent, _ = counting
    with pytest.raises(AccessDenied, match="does not accept this agent's key"):
        await agent.serve(url=plane.url, key="wrong")


async def test_a_key_that_worked_before_is_tried_again(
    plane: ControlPlane, counting: Counting
) -> None:
    agent, onward = counting
    onward.set()
    async with serving(agent, plane):
        plane.denying = True
        plane.drop_streams()
        await until(lambda: plane.denied > 0)
        plane.denying = False
        task = await plane.submit("count", 1)
        assert await task.result() == 1


async def test_a_wrong_address_is_fatal_and_says_what_would_be_right(counting: Counting) -> None:
    agent, _ = counting
    with pytest.raises(NotConfigured, match="use http://, https://"):
        await agent.serve(url="ftp://127.0.0.1", key="key")

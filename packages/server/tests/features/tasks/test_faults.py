"""Engines and control planes that die while tasks wait and run: nothing is lost or repeated."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestra.engines.testing import RunningNats, start_nats
from orchestra_protocol import agent_pb2 as pb
from orchestra_sdk import Agent

pytestmark = pytest.mark.anyio


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[RunningNats]:
    """A server of this test's own, since it dies."""
    with start_nats(tmp_path) as server:
        yield server


def forget_everything(nats: RunningNats) -> None:
    """kill -9, and the store is deleted."""
    nats.process.kill()
    shutil.rmtree(nats.server.directory / "store")
    nats.process.start()


async def test_tasks_that_wait_survive_the_loss_of_the_whole_nats_store(
    world: Any, wire: Any, nats: RunningNats
) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        tasks = [await world.submit("echo", number) for number in range(3)]
        await asyncio.to_thread(forget_everything, nats)
        later = await world.submit("echo", 4)
        await agent.connect()
        got = {(await agent.assigned()).task_id for _ in range(4)}
        assert got == {str(task.id) for task in (*tasks, later)}


async def test_a_connected_agent_gets_tasks_after_nats_has_lost_its_consumers(
    world: Any, wire: Any, nats: RunningNats
) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        first = await world.submit("echo", 1)
        await agent.say(await agent.assigned(), agent.result(1))
        await world.state(first.id, "succeeded")
        await asyncio.to_thread(forget_everything, nats)
        second = await world.submit("echo", 2)
        assigned = await agent.assigned()
        await agent.say(assigned, agent.result(1))
        await world.state(second.id, "succeeded")


async def test_events_wait_for_nats_and_are_acknowledged_when_it_is_back(
    world: Any, wire: Any, nats: RunningNats
) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        await agent.say(assigned, agent.token(1, "a"))
        await agent.acked()
        await asyncio.to_thread(nats.process.kill)
        await agent.say(assigned, agent.token(2, "b"), agent.token(3, "c"))
        with pytest.raises(TimeoutError):
            await agent.next(pb.TASK_TYPE_EVENTS_ACK, seconds=0.5)
        await asyncio.to_thread(nats.process.start)
        assert (await agent.acked()).sequence == 3
        await agent.say(assigned, agent.result(4))
        await world.state(task.id, "succeeded")
    texts = [
        data["text"]
        for _, kind, data in await world.settled_events(task.id)
        if kind == "task.token"
    ]
    assert texts == ["a", "b", "c"]


async def test_the_text_so_far_is_in_the_database_when_the_store_is_lost(
    world: Any, wire: Any, nats: RunningNats
) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        await agent.say(assigned, agent.token(1, "so "), agent.token(2, "far"))
        await agent.acked()
        await asyncio.to_thread(forget_everything, nats)

        async def saved() -> bool:
            return await world.text(task.id) == ("so far", "2:2")

        await world.eventually(saved)
        await agent.say(assigned, agent.token(3, "!"), agent.result(4))
        await world.state(task.id, "succeeded")


async def test_a_stream_goes_on_at_another_control_plane_without_loss_or_repetition(
    world: Any, wire: Any
) -> None:
    first, second = await world.plane(), await world.plane()
    async with wire(first) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        await agent.say(assigned, agent.token(1, "a"), agent.token(2, "b"))
        await agent.acked()
        await first.kill()
        agent.address = second.address
        async with agent:
            welcome = await agent.connect((assigned.task_id, assigned.epoch))
            assert [(item.epoch, item.sequence) for item in welcome.resumed] == [(2, 2)]
            # The agent had not seen the acknowledgement of the second token.
            await agent.say(assigned, agent.token(2, "b"), agent.token(3, "c"), agent.result(4))
            done = await world.state(task.id, "succeeded")
    assert (done.epoch, done.attempt) == (2, 1)
    events = await world.settled_events(task.id)
    assert [cursor for cursor, _, _ in events] == ["1:0", "2:0", "2:1", "2:2", "2:3", "2:4"]


async def test_an_sdk_agent_types_on_while_its_control_plane_is_replaced(world: Any) -> None:
    agent = Agent("typist", slots=2)

    @agent.task("type")
    async def type_out(ctx: Any, words: list[str]) -> str:
        for word in words:
            await ctx.emit(word)
            await asyncio.sleep(0.02)
        return "".join(words)

    words = [f"{number} " for number in range(100)]
    first = await world.plane()
    async with world.sdk(agent, first.address):
        task = await world.submit("type", words)
        await world.state(task.id, "running")

        async def has_typed() -> bool:
            return len(await world.events(task.id)) > 10

        await world.eventually(has_typed)
        await first.kill()
        await world.plane(control_plane_listen=first.address)
        done = await world.state(task.id, "succeeded")
    assert (done.result, done.epoch) == ("".join(words), 2)
    events = await world.settled_events(task.id)
    assert [data["text"] for _, kind, data in events if kind == "task.token"] == words
    assert [cursor for cursor, _, _ in events] == ["1:0", *(f"2:{n}" for n in range(102))]


async def test_a_stopping_control_plane_gives_no_run_away(world: Any, wire: Any) -> None:
    first, second = await world.plane(), await world.plane()
    async with wire(first) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        stopping = world.guard.spawn("stop", first.stop())
        await agent.next()  # Drain
        await agent.disconnect()
        await stopping
        agent.address = second.address
        async with agent:
            welcome = await agent.connect((assigned.task_id, assigned.epoch))
            assert [item.epoch for item in welcome.resumed] == [2]
            await agent.say(assigned, agent.result(1))
            done = await world.state(task.id, "succeeded")
    assert done.attempt == 1

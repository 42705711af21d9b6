"""Commands that wait: an agent has room for so many bytes of them, and gets all of it back."""

import asyncio
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from orchestra.features.tasks.service.streams import lines as service
from orchestra.features.tasks.service.streams.lines import Lines
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio

AGENT = uuid.UUID(int=1)


def run(agent_id: uuid.UUID = AGENT) -> Any:
    class Run(SimpleNamespace):
        __hash__ = object.__hash__  # type: ignore[assignment]

    return Run(agent_id=agent_id)


def save(text: str = "x") -> pb.Command:
    command = pb.Command(save_step=pb.SaveStep(name="a"))
    command.save_step.output.string_value = text
    return command


async def test_commands_of_a_run_come_in_order_and_count_until_they_are_obeyed() -> None:
    lines, one = Lines(), run()
    assert lines.add(one, save("a")), "the line begins"
    assert not lines.add(one, save("b"))
    assert lines.first(one) == save("a")
    assert lines.waiting_bytes(AGENT) == 2 * save().ByteSize()
    lines.done(one)
    assert lines.waiting_bytes(AGENT) == save().ByteSize()
    assert lines.first(one) == save("b")
    lines.done(one)
    assert (lines.first(one), lines.waiting_bytes(AGENT)) == (None, 0)


async def test_a_line_that_is_dropped_gives_all_back_and_the_others_stand() -> None:
    lines, one, other = Lines(), run(), run()
    for _ in range(3):
        lines.add(one, save())
    lines.add(other, save())
    lines.drop(one)
    lines.drop(one)
    assert lines.waiting_bytes(AGENT) == save().ByteSize()
    lines.drop(other)
    assert lines.waiting_bytes(AGENT) == 0


async def test_who_has_too_much_waiting_waits_until_some_of_it_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "MOST_BYTES", save().ByteSize())
    lines, one, other = Lines(), run(), run()
    lines.add(one, save())
    await asyncio.wait_for(lines.room(one), 1)
    lines.add(other, save())
    full = [asyncio.ensure_future(lines.room(each)) for each in (one, other)]
    await asyncio.sleep(0)
    assert not any(each.done() for each in full)
    await asyncio.wait_for(lines.room(run(uuid.UUID(int=2))), 1)
    lines.done(other)
    await asyncio.wait_for(asyncio.gather(*full), 1)


async def test_the_number_of_commands_of_one_run_is_bounded_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "MOST_COMMANDS", 2)
    lines, one = Lines(), run()
    lines.add(one, save())
    lines.add(one, save())
    await asyncio.wait_for(lines.room(run()), 1)
    full = asyncio.ensure_future(lines.room(one))
    await asyncio.sleep(0)
    assert not full.done()
    lines.drop(one)
    await asyncio.wait_for(full, 1)


@pytest.fixture
async def plane(world: Any) -> Any:
    return await world.plane()


async def two_runs(world: Any, agent: Any) -> tuple[Any, Any]:
    for number in range(2):
        await world.submit("echo", number)
    return await agent.assigned(), await agent.assigned()


async def nothing_waits(world: Any, plane: Any, agent: Any) -> None:
    agent_id, lines = uuid.UUID(agent.agent_id), plane.it.plane.commander.lines

    async def look() -> bool:
        return lines.waiting_bytes(agent_id) == 0

    await world.eventually(look)


async def is_waiting(world: Any, plane: Any, agent: Any, size: int) -> None:
    agent_id, lines = uuid.UUID(agent.agent_id), plane.it.plane.commander.lines

    async def look() -> bool:
        return lines.waiting_bytes(agent_id) >= size

    await world.eventually(look)


async def test_an_agent_is_not_read_while_much_that_it_asks_for_waits(
    world: Any, plane: Any, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_BYTES", 1_000)
    async with wire(plane) as agent:
        await agent.connect()
        asking, other = await two_runs(world, agent)
        async with world.database.transaction() as tx:
            await tx.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", asking.task_id)
            for name in ("a", "b"):
                await agent.command(asking, agent.save(name, "x" * 600))
            await agent.say(other, agent.token(1, "x"))
            await is_waiting(world, plane, agent, 1_200)
            with pytest.raises(TimeoutError):
                await agent.next(pb.TASK_TYPE_EVENTS_ACK, seconds=0.5)
        assert (await agent.acked()).sequence == 1
        await nothing_waits(world, plane, agent)
        await agent.say(asking, agent.result(1))
        await world.state(uuid.UUID(asking.task_id), "succeeded")


async def test_commands_that_are_refused_give_their_room_back(
    world: Any, plane: Any, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_BYTES", 1_000)
    async with wire(plane) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        asking = await agent.assigned()
        for _ in range(5):
            refused = await agent.ask_for(asking, agent.save("n" * 201, "x" * 2_000))
            assert refused.refused.code == "bad_command"
        await nothing_waits(world, plane, agent)


async def test_what_breaks_while_it_is_obeyed_gives_its_room_back(
    world: Any, plane: Any, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commander = plane.it.plane.commander

    async def break_down(*_: Any) -> None:
        raise ZeroDivisionError

    async with wire(plane) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        asking = await agent.assigned()
        with monkeypatch.context() as patch:
            patch.setattr(commander, "_obey", break_down)
            await agent.command(asking, agent.save("a", "x" * 600))
            await agent.say(asking, agent.token(1, "x"))
            await agent.acked()
            await nothing_waits(world, plane, agent)
        assert (await agent.ask_for(asking, agent.save("b", "x"))).HasField("saved")


@pytest.mark.parametrize("is_gone", [True, False], ids=["its stream ends", "its lease is over"])
async def test_commands_of_a_run_that_is_dropped_give_their_room_back(
    world: Any, plane: Any, wire: Any, monkeypatch: pytest.MonkeyPatch, is_gone: bool
) -> None:
    monkeypatch.setattr(service, "MOST_BYTES", 1_000)
    async with wire(plane) as agent:
        await agent.connect()
        asking, _ = await two_runs(world, agent)
        held = plane.it.plane.find(uuid.UUID(asking.task_id), asking.epoch)
        async with world.database.transaction() as tx:
            await tx.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", asking.task_id)
            for name in ("a", "b", "c"):
                await agent.command(asking, agent.save(name, "x" * 600))
            await is_waiting(world, plane, agent, 1_200)
            if is_gone:
                await agent.disconnect()
            else:
                plane.it.plane.lose(held, "The lease is over.")
        await nothing_waits(world, plane, agent)

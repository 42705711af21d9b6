"""Several control planes: an agent moves between them, and its name stays its own."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import grpc
import httpx
import pytest
from orchestra.features.tasks.service.streams.spreading import Spreader, surplus
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio


async def status_of(http: httpx.AsyncClient, agent: Any) -> dict[str, Any]:
    return (await http.get(f"/api/agents/{agent.agent_id}")).json()


async def test_another_process_of_the_name_is_refused_at_every_control_plane(
    world: Any, wire: Any
) -> None:
    first, second = await world.plane(), await world.plane()
    async with wire(first) as agent, wire(second, instance_id="instance-2") as other:
        await agent.connect()
        with pytest.raises(TimeoutError):
            await other.connect(seconds=0.5)
        refusal = await other.ended()
        assert refusal is not None
        assert refusal.code() is grpc.StatusCode.ALREADY_EXISTS or "name" in refusal.details()
        await agent.disconnect()
        for item in (first, second):
            await world.eventually(lambda item=item: _is_empty(item))
        await other.connect()


async def test_a_name_is_free_when_its_control_plane_was_killed(world: Any, wire: Any) -> None:
    first, second = await world.plane(), await world.plane()
    async with wire(first) as agent, wire(second, instance_id="instance-2") as other:
        await agent.connect()
        await world.eventually(lambda: _is_online(world))
        await first.kill()
        await other.connect(seconds=5)


async def test_a_control_plane_that_stops_lets_nobody_in(world: Any, wire: Any) -> None:
    plane = await world.plane(drain_seconds=3.0)
    async with wire(plane) as agent, wire(plane, name="late") as late:
        await agent.connect()
        stopping = world.guard.spawn("stop", plane.stop())
        await agent.next(pb.TASK_TYPE_DRAIN)
        with pytest.raises(TimeoutError):
            await late.connect(seconds=0.5)
        refusal = await late.ended()
        assert refusal is not None
        assert refusal.code() is grpc.StatusCode.UNAVAILABLE
        await agent.disconnect()
        async with asyncio.timeout(10):
            await stopping


async def test_an_agent_that_has_moved_is_not_shown_as_gone(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    first, second = await world.plane(), await world.plane()
    told: list[str] = []

    async def hear(message: Any) -> None:
        if b"agent.status.changed" in message.data:
            told.append(message.data.decode())

    async with wire(first) as here, wire(second) as there:
        await here.connect()
        await world.eventually(lambda: _is_online(world))
        await world.bus.listen(f"events.agent.{here.agent_id}", hear)
        await there.connect()  # while the former stream is still open
        await world.eventually(lambda: _is_empty(first))
        await first.it.presence.look()
        shown = await status_of(http, there)
        assert shown["status"] == "online"
        assert shown["control_plane"] == second.it.plane.id
        await world.eventually(lambda: _has(told))
    assert not [event for event in told if '"offline"' in event]


async def test_a_heartbeat_at_the_wrong_door_finds_its_agent(world: Any, wire: Any) -> None:
    first, second = await world.plane(heartbeat_seconds=0.3), await world.plane()
    async with wire(first) as agent, wire(second) as elsewhere:
        await agent.connect()
        agent.beating.cancel()
        (here,) = list(first.it.plane.registry)
        await world.eventually(lambda: _is(here, unhealthy=True))
        beating = elsewhere.guard.spawn("beat elsewhere", elsewhere._beat())
        await world.eventually(lambda: _is(here, unhealthy=False))
        beating.cancel()


async def _is(agent: Any, *, unhealthy: bool) -> bool:
    return agent.unhealthy is unhealthy


async def _is_empty(plane: Any) -> bool:
    return len(plane.it.plane.registry) == 0


async def _is_online(world: Any) -> bool:
    async with world.database.transaction() as tx:
        return await tx.fetch_value("SELECT bool_and(status = 'online') FROM agents") is True


async def _has(found: list[str]) -> bool:
    return bool(found)


@pytest.mark.parametrize(
    ("ours", "theirs", "planes", "given"),
    [(12, 0, 2, 5), (4, 0, 2, 0), (7, 5, 2, 0), (300, 0, 3, 30), (10_000, 0, 2, 100), (5, 9, 2, 0)],
)
def test_so_many_agents_are_given_away_at_once(
    ours: int, theirs: int, planes: int, given: int
) -> None:
    assert surplus(ours, theirs, planes) == given


async def test_a_control_plane_that_comes_back_gets_its_share_again(world: Any, wire: Any) -> None:
    async with AsyncExitStack() as stack:
        first = await world.plane()
        found = [
            await stack.enter_async_context(wire(first, name=f"agent-{number}"))
            for number in range(12)
        ]
        for agent in found:
            await agent.connect()
        spreader = Spreader(first.it.plane)
        await spreader.step()
        assert not any(item.draining for item in first.it.plane.registry), "there is no other"
        await world.plane()
        await spreader.step()
        for agent in found[:5]:
            await agent.next(pb.TASK_TYPE_DRAIN)
        asked = [item for item in first.it.plane.registry if item.draining]
        assert {str(item.id) for item in asked} == {agent.agent_id for agent in found[:5]}
        await found[0].connect()  # its id leads here again
        await spreader.step()
        staying = [agent for agent in first.it.plane.registry if not agent.draining]
        assert {agent.agent_id for agent in found[:5]} <= {str(item.id) for item in staying}
        for agent in found[5:10]:
            await agent.next(pb.TASK_TYPE_DRAIN)

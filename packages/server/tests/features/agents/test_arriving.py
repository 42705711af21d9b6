"""Agents that come all at once, as after the death of their control plane."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio

AGENTS = 40
# Those with a run are busy.
CONNECTED = """
SELECT name, instance_id, control_plane_id FROM agents WHERE status IN ('online', 'busy')
"""


async def test_agents_that_come_at_once_are_all_let_in_each_with_its_own_runs(
    world: Any, wire: Any
) -> None:
    first, second = await world.plane(), await world.plane()
    names = [f"agent-{number}" for number in range(AGENTS)]
    async with AsyncExitStack() as stack:
        agents = [
            await stack.enter_async_context(
                wire(first, name=name, instance_id=f"of {name}", capabilities=(name,), slots=1)
            )
            for name in names
        ]
        await asyncio.gather(*(agent.connect() for agent in agents))
        runs: dict[str, tuple[str, int]] = {}
        for agent in agents[::2]:
            await world.submit(agent.name)
            task = await agent.assigned()
            runs[agent.name] = (task.task_id, task.epoch)
        await first.kill()
        back = [
            await stack.enter_async_context(
                wire(second, name=name, instance_id=f"of {name}", capabilities=(name,), slots=1)
            )
            for name in names
        ]
        held = [[runs[name]] if name in runs else [] for name in names]
        welcomes = await asyncio.gather(
            *(agent.connect(*mine) for agent, mine in zip(back, held, strict=True))
        )
        resumed = [[(item.task_id, item.epoch) for item in each.resumed] for each in welcomes]
        assert resumed == held
        rows = await world.database.fetch(CONNECTED)
        here = second.it.plane.id
        assert sorted(tuple(row) for row in rows) == sorted(
            (name, f"of {name}", here) for name in names
        )


async def test_a_heartbeat_for_somebody_elses_connected_agent_is_refused(
    world: Any, wire: Any
) -> None:
    member = await world.member("stranger")
    async with wire(plane := await world.plane()) as agent, wire(plane, key=member.key) as other:
        await agent.connect()
        call = other.stub.StreamHeartbeat(metadata=other.metadata)
        await call.write(pb.HeartbeatMessage(agent_id=agent.agent_id, sequence=1))
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await call.read()
        assert refusal.value.code() is grpc.StatusCode.NOT_FOUND

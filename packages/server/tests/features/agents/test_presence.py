"""What a control plane writes of its agents at once, and what it leaves for a moment."""

from typing import Any

import pytest
from agent_records import agent_record
from orchestra.features.agents import ConnectedAgent, Presence, Registry
from orchestra.features.agents.service.presence import LOADS_PER_LOOK

pytestmark = pytest.mark.anyio


async def fleet(world: Any, count: int) -> tuple[Presence, list[ConnectedAgent]]:
    """Agents that were written down as idle."""
    registry = Registry(heartbeat_seconds=60.0)
    presence = Presence(registry, world.database, world.bus, control_plane_id="here")
    agents = [
        registry.connect(agent_record(number), instance_id="", slots=1) for number in range(count)
    ]
    await presence.look()
    assert all(agent.written_in_use == 0 for agent in agents)
    return presence, agents


async def test_of_thousands_that_become_busy_some_are_written_at_each_look(world: Any) -> None:
    presence, agents = await fleet(world, LOADS_PER_LOOK + 7)
    for agent in agents:
        agent.in_use = 1
    await presence.look()
    assert sum(agent.written_in_use for agent in agents) == LOADS_PER_LOOK
    await presence.look()
    assert sum(agent.written_in_use for agent in agents) == len(agents)


async def test_who_is_idle_again_need_not_be_written(world: Any) -> None:
    presence, agents = await fleet(world, LOADS_PER_LOOK + 7)
    for agent in agents:
        agent.in_use = 1
    await presence.look()
    (*_, last) = agents
    written_at = last.written_at
    last.in_use = 0
    await presence.look()
    assert last.written_at == written_at


async def test_what_is_no_task_is_written_for_all_at_once(world: Any) -> None:
    presence, agents = await fleet(world, LOADS_PER_LOOK + 7)
    for agent in agents:
        agent.find_fault("no heartbeat for 9 s")
    await presence.look()
    assert {agent.written.reason for agent in agents} == {"no heartbeat for 9 s"}

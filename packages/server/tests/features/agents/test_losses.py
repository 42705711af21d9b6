"""Whose losses set an agent aside: of several people or its owner, not of one stranger alone."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from orchestra.features.tasks import NewTask

pytestmark = pytest.mark.anyio

FAILURES = 3


@pytest.fixture
async def plane(world: Any) -> Any:
    return await world.plane(quarantine_failures=FAILURES, agent_grace_seconds=0.1)


async def dies(world: Any, agent: Any, *people: Any) -> None:
    """The agent's process is gone in the middle of a task of each of them, and comes back."""
    await agent.connect()
    wish = NewTask(input=1, capability="echo", max_attempts=1)
    tasks = [await world.submitter.submit(person, wish) for person in people]
    for run in [await agent.assigned() for _ in tasks]:
        await agent.say(run, agent.token(1, "It begins."))
        await agent.acked()
    await agent.disconnect()
    for task in tasks:
        failed = await world.state(task.id, "failed")
        assert failed.error.code == "agent_lost"
    await long_ago(world)


async def long_ago(world: Any) -> None:
    """What is lost within half a minute counts once: so this was earlier."""
    async with world.database.transaction() as tx:
        await tx.execute(
            "UPDATE agents SET blamed = ARRAY(SELECT gen_random_uuid() FROM unnest(blamed))"
        )


async def is_quarantined(http: httpx.AsyncClient, agent: Any) -> bool:
    answer = await http.get(f"/api/agents/{agent.agent_id}")
    return answer.json()["quarantine"] is not None


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "beside others"])
async def test_one_stranger_whose_tasks_kill_the_agent_does_not_set_it_aside(
    world: Any, wire: Any, plane: Any, http: httpx.AsyncClient, others: int
) -> None:
    alice, bob, carol = [await world.member(name) for name in ("alice", "bob", "carol")]
    beside: Sequence[Any] = [bob.actor, world.actor] * others
    async with wire(plane) as agent:
        await http.post(f"/api/agents/{agent.agent_id}/share")
        for _ in range(FAILURES + 1):
            await dies(world, agent, alice.actor, *beside)
            assert not await is_quarantined(http, agent)
        await dies(world, agent, carol.actor)
        assert await is_quarantined(http, agent), "it is not only alice's tasks"


async def test_an_agent_that_dies_under_its_owners_tasks_is_set_aside(
    world: Any, wire: Any, plane: Any, http: httpx.AsyncClient
) -> None:
    async with wire(plane) as agent:
        for number in range(FAILURES):
            assert not await is_quarantined(http, agent), number
            await dies(world, agent, world.actor)
        assert await is_quarantined(http, agent)


async def test_an_agent_that_dies_under_several_peoples_tasks_is_set_aside(
    world: Any, wire: Any, plane: Any, http: httpx.AsyncClient
) -> None:
    people = [(await world.member(name)).actor for name in ("alice", "bob", "carol")]
    async with wire(plane) as agent:
        await http.post(f"/api/agents/{agent.agent_id}/share")
        for number, person in enumerate(people):
            assert not await is_quarantined(http, agent), number
            await dies(world, agent, person)
        assert await is_quarantined(http, agent)

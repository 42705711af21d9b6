"""Tasks of somebody with agents of his own go to these first, then to those that all share."""

from collections import Counter
from typing import Any

import pytest
from orchestra.features.tasks.types import NewTask

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


async def submit(world: Any, member: Any, **more: Any) -> str:
    new = NewTask(capability="echo", input=1, **more)
    return str((await world.submitter.submit(member.actor, new)).id)


async def gets(agent: Any, task_id: str) -> None:
    assert (await agent.assigned()).task_id == task_id


async def test_own_agents_come_first_and_shared_ones_when_they_are_busy(
    world: Any, wire: Any
) -> None:
    ann, bob = await world.member("ann"), await world.member("bob")
    plane = await world.plane()
    async with (
        wire(plane, name="everybodys", slots=4) as everybodys,
        wire(plane, name="anns", key=ann.key, slots=2) as anns,
    ):
        await everybodys.connect()
        await anns.connect()
        await gets(everybodys, await submit(world, bob))
        for agent in (anns, anns, everybodys):
            await gets(agent, await submit(world, ann))
        await gets(everybodys, await submit(world, bob))
        in_use = {agent.name: agent.in_use for agent in plane.it.plane.registry}
        assert in_use == {"everybodys": 3, "anns": 2}


async def test_a_burst_fills_both_and_every_slot_is_given_back(world: Any, wire: Any) -> None:
    ann = await world.member("ann")
    tasks = [await submit(world, ann) for _ in range(6)]
    plane = await world.plane()
    async with (
        wire(plane, name="everybodys", slots=3) as everybodys,
        wire(plane, name="anns", key=ann.key, slots=3) as anns,
    ):
        await everybodys.connect()
        await anns.connect()
        for agent in (everybodys, anns):
            for run in [await agent.assigned() for _ in range(3)]:
                await agent.say(run, agent.result(1))
        for task in tasks:
            assert (await world.state(task, "succeeded")).attempt == 1

        async def is_idle() -> bool:
            return all(agent.in_use == 0 for agent in plane.it.plane.registry)

        await world.eventually(is_idle)


async def test_a_key_leads_to_one_of_the_own_agents(world: Any, wire: Any) -> None:
    ann = await world.member("ann")
    plane = await world.plane()
    got: Counter[tuple[str, str]] = Counter()

    async def answer(agent: Any) -> None:
        while True:
            run = await agent.assigned(seconds=600)
            task = await world.task(run.task_id)
            got[task.affinity_key, agent.name] += 1
            await agent.say(run, agent.result(1))

    async with (
        wire(plane, name="everybodys", slots=20) as everybodys,
        wire(plane, name="one", key=ann.key, slots=20) as one,
        wire(plane, name="two", key=ann.key, slots=20) as two,
    ):
        for agent in (everybodys, one, two):
            await agent.connect()
            world.guard.spawn("answer", answer(agent))
        keys = [f"conversation-{number}" for number in range(8)]
        for key in keys * 3:
            await world.state(await submit(world, ann, affinity_key=key), "succeeded")
    assert set(got.values()) == {3}, "each key has one"
    assert {name for _, name in got} == {"one", "two"}

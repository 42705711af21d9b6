"""Which task goes to whom and when: priority, fairness to slots, owners, affinity, many at once."""

import asyncio
import uuid
from collections import Counter
from typing import Any

import pytest
from orchestra.features.tasks import NewTask, Priority
from orchestra.features.tasks.service.orchestration import steps
from orchestra.features.tasks.service.streams import assignment
from orchestra.features.tasks.service.streams import plane as streams_plane
from orchestra.foundation.errors import Unavailable
from orchestra_protocol import agent_pb2 as pb
from orchestra_sdk import Agent

pytestmark = pytest.mark.anyio


async def test_the_most_urgent_and_oldest_goes_first(world: Any, wire: Any) -> None:
    wanted = [Priority.LOW, Priority.NORMAL, Priority.CRITICAL, Priority.NORMAL, Priority.HIGH]
    tasks = [await world.submit("echo", 1, priority=priority) for priority in wanted]
    async with wire(await world.plane(), slots=1) as agent:
        await agent.connect()
        order: list[str] = []
        for _ in tasks:
            assigned = await agent.assigned()
            order.append(assigned.task_id)
            await agent.say(assigned, agent.result(1))
    assert order == [str(tasks[place].id) for place in (2, 4, 1, 3, 0)]


async def test_an_agent_never_gets_more_than_its_slots(world: Any, wire: Any) -> None:
    async with wire(await world.plane(), slots=2) as agent:
        await agent.connect()
        for number in range(5):
            await world.submit("echo", number)
        first, second = await agent.assigned(), await agent.assigned()
        with pytest.raises(TimeoutError):
            await agent.assigned(seconds=0.5)
        await agent.say(first, agent.result(1))
        await agent.assigned()
        assert second.epoch == 2


async def test_a_task_for_one_agent_goes_to_no_other(world: Any, wire: Any) -> None:
    plane = await world.plane()
    async with wire(plane, name="one") as one, wire(plane, name="two") as two:
        await one.connect()
        await two.connect()
        tasks = [
            await world.submit("", number, agent_id=uuid.UUID(two.agent_id)) for number in range(3)
        ]
        got = {(await two.assigned(seconds=2)).task_id for _ in tasks}
        assert got == {str(task.id) for task in tasks}
        with pytest.raises(TimeoutError):
            await one.assigned(seconds=0.5)


async def test_least_busy_agents_share_the_work(world: Any, wire: Any) -> None:
    plane = await world.plane()
    async with wire(plane, name="one", slots=10) as one, wire(plane, name="two", slots=10) as two:
        await one.connect()
        await two.connect()
        await world.submitter.submit_all(
            world.actor, [NewTask(input=1, capability="echo") for _ in range(10)]
        )
        await asyncio.gather(*(agent.assigned() for agent in (one, two) for _ in range(5)))


async def test_tasks_with_one_affinity_key_go_to_one_agent(world: Any, wire: Any) -> None:
    plane = await world.plane()
    names = ("one", "two", "three")
    # All keys may lead to one agent; beyond half of its slots others help it.
    agents = [wire(plane, name=name, slots=40) for name in names]
    async with agents[0], agents[1], agents[2]:
        for agent in agents:
            await agent.connect()
        for key in ("a", "b", "c", "d"):
            for _ in range(4):
                await world.submit("echo", key, affinity_key=key)
        seen: dict[str, set[str]] = {}

        async def collect(agent: Any) -> None:
            while True:
                assigned = await agent.assigned()
                said = pb.Assignment()
                assigned.payload.Unpack(said)
                seen.setdefault(said.input.string_value, set()).add(agent.name)
                await agent.say(assigned, agent.result(1))

        collecting = [world.guard.spawn("collect", collect(agent)) for agent in agents]

        async def all_done() -> bool:
            async with world.database.transaction() as tx:
                return (
                    await tx.fetch_value("SELECT count(*) FROM tasks WHERE state = 'succeeded'")
                ) == 16

        await world.eventually(all_done)
        for task in collecting:
            task.cancel()
    assert all(len(names) == 1 for names in seen.values()), seen


async def test_a_members_agent_works_for_its_owner_alone(world: Any, wire: Any) -> None:
    member = await world.member("alice")
    plane = await world.plane()
    async with wire(plane, name="private", key=member.key) as private:
        await private.connect()
        theirs = await world.submit("echo", "secret of the administrator")
        own = await world.submitter.submit(member.actor, NewTask(input=1, capability="echo"))
        assert (await private.assigned()).task_id == str(own.id)
        with pytest.raises(TimeoutError):
            await private.assigned(seconds=1.5)
    assert (await world.task(theirs.id)).state == "queued"


async def test_a_thousand_tasks_over_two_control_planes_take_effect_once(world: Any) -> None:
    ledger: Counter[int] = Counter()
    begun = {"one": asyncio.Event(), "two": asyncio.Event()}

    def make(name: str) -> Agent:
        agent = Agent(name, slots=50)

        @agent.task("count")
        async def count(ctx: Any, number: int) -> int:
            begun[name].set()
            for at_work in begun.values():  # one that is quick could do them all
                await at_work.wait()
            ledger[number] += 1
            return number * 2

        return agent

    planes = [await world.plane(), await world.plane()]
    async with world.sdk(make("one"), planes[0].address), world.sdk(make("two"), planes[1].address):
        new = [NewTask(input=number, capability="count") for number in range(1000)]
        tasks = await world.submitter.submit_all(world.actor, new)

        async def all_done() -> bool:
            async with world.database.transaction() as tx:
                rows = await tx.fetch("SELECT state, count(*) FROM tasks GROUP BY state")
            return {row["state"]: row["count"] for row in rows} == {"succeeded": 1000}

        await world.eventually(all_done, 18)
    assert ledger == Counter(range(1000))
    assert (await world.task(tasks[7].id)).result == 14
    async with world.database.transaction() as tx:
        agents = await tx.fetch("SELECT agent_id, count(*) FROM tasks GROUP BY agent_id")
    assert len(agents) == 2


async def test_work_is_found_without_any_permit(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        async with world.database.transaction() as tx:
            task = await world.submitter.submit(
                world.actor, NewTask(input=1, capability="echo"), tx=tx
            )
            tx._after_commit.clear()  # the process dies between the commit and the permit
        assert (await agent.assigned(seconds=3)).task_id == str(task.id)


async def test_an_agent_gets_nothing_new_before_its_welcome(world: Any, wire: Any) -> None:
    """What comes before Welcome it may drop: it does not know yet what is still its own."""
    plane = await world.plane()
    async with wire(plane, name="one") as one, wire(plane, name="two", slots=10) as two:
        await two.connect()
        held = await world.submit("echo", 0)
        assigned = await two.assigned()
        await one.connect()
        await two.disconnect()
        registry = plane.it.plane.registry
        await world.eventually(lambda: _as_told(len(registry) == 1))
        async with world.database.transaction() as tx:
            await tx.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", held.id)
            resuming = world.guard.spawn("two", two.connect((assigned.task_id, assigned.epoch)))
            await world.eventually(lambda: _as_told(len(registry) == 2))
            tasks = [await world.submit("echo", number) for number in range(8)]
            got = [(await one.assigned()).task_id for _ in range(one.slots)]
        await resuming
        got += [(await two.assigned()).task_id for _ in range(8 - one.slots)]
    assert sorted(got) == sorted(str(task.id) for task in tasks)


async def _as_told(answer: bool) -> bool:
    return answer


async def test_a_task_that_cannot_be_sent_harms_none_that_was_claimed_with_it(
    world: Any, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, broken = assignment.assignment, list[str]()

    def fail_once(claim: Any, *more: Any, **options: Any) -> Any:
        if not broken:
            broken.append(str(claim.id))
            raise ZeroDivisionError
        return send(claim, *more, **options)

    monkeypatch.setattr(streams_plane, "assignment", fail_once)
    async with wire(await world.plane(), slots=4) as agent:
        tasks = [await world.submit("echo", number) for number in range(4)]
        await agent.connect()
        given = [await agent.assigned() for _ in tasks]
    assert {message.task_id for message in given} == {str(task.id) for task in tasks}
    attempts = {message.task_id: agent.assignment(message).attempt for message in given}
    assert {task for task, attempt in attempts.items() if attempt == 2} == set(broken)


@pytest.mark.parametrize("key", [None, "conversation"])
async def test_slots_are_free_again_when_the_database_leaves_after_a_claim(
    world: Any, wire: Any, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    await world.worker(lease_seconds=1.0)
    plane = await world.plane(lease_seconds=1.0)
    read, failures = steps.of_claims, list[str]()

    async def fail_once(*arguments: Any) -> Any:
        if not failures:
            failures.append("once")
            raise Unavailable("The database is away.")
        return await read(*arguments)

    monkeypatch.setattr(steps, "of_claims", fail_once)
    async with wire(plane, slots=1) as agent:
        await agent.connect()
        task = await world.submit("echo", 1, affinity_key=key)
        given = await agent.assigned(seconds=20)
        assert given.task_id == str(task.id)
        await agent.say(given, agent.result(1))
        await world.state(task.id, "succeeded")
        (connected,) = list(plane.it.plane.registry)

        async def is_free() -> bool:
            return connected.in_use == 0  # the next claim may have reserved it for a moment

        await world.eventually(is_free)
    assert failures

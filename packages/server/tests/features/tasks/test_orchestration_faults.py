"""Orchestration while things break: lost answers, killed control planes, ends at the same time."""

import asyncio
import hashlib
from typing import Any

import pytest
from orchestra.features.events import Outbox
from orchestra.features.tasks import NewTask, jobs

pytestmark = pytest.mark.anyio


async def test_a_step_whose_answer_was_lost_with_the_control_plane_is_done_once(
    world: Any, wire: Any
) -> None:
    first = await world.plane()
    async with wire(first) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        run = await agent.assigned()
        save, spawn = agent.save("pay", "receipt"), agent.spawn("a")
        save.id, spawn.id = 1, 2
        await agent.command(run, save)
        await agent.command(run, spawn)

        async def is_kept() -> bool:
            async with world.database.transaction() as tx:
                return await tx.fetch_value("SELECT count(*) FROM task_steps") == 2

        await world.eventually(is_kept)
        await first.kill()
        second = await world.plane()
        agent.address = second.address
        await agent.__aenter__()
        welcome = await agent.connect((str(task.id), run.epoch))
        assert [item.task_id for item in welcome.resumed] == [str(task.id)]
        save.save_step.output.string_value = "another receipt"
        assert (await agent.ask_for(run, save)).HasField("saved")
        (child,) = (await agent.ask_for(run, spawn)).spawned.task_ids
        async with world.database.transaction() as tx:
            kept = await tx.fetch("SELECT name, output, child_id FROM task_steps ORDER BY name")
            tasks = await tx.fetch_value("SELECT count(*) FROM tasks")
    assert [(row["name"], row["output"]) for row in kept] == [("a", None), ("pay", "receipt")]
    assert (str(kept[0]["child_id"]), tasks) == (child, 2)


async def test_a_wait_whose_answer_was_lost_is_answered_again(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        run = await agent.assigned()
        nap = agent.suspend(seconds=60, name="nap")
        assert (await agent.ask_for(run, nap)).HasField("suspended")
        await agent.disconnect()
        welcome = await agent.connect((str(task.id), run.epoch))
        assert not welcome.resumed, "the lease is over"
        assert (await agent.ask_for(run, nap)).HasField("suspended")
    async with world.database.transaction() as tx:
        assert (
            await tx.fetch_value("SELECT count(*) FROM audit_log WHERE action LIKE '%stale%'") == 0
        )


async def test_an_eviction_resumes_the_parent_from_its_steps(world: Any, wire: Any) -> None:
    """The agent that had the parent is gone for good; another goes on."""
    await world.worker()
    plane = await world.plane()
    async with wire(plane, name="one", capabilities=("echo",)) as one:
        await one.connect()
        task = await world.submit("echo", 1)
        run = await one.assigned()
        await one.ask_for(run, one.save("pay", "receipt"))
        (child,) = (await one.ask_for(run, one.spawn("a"))).spawned.task_ids
    async with wire(plane, name="two", capabilities=("echo", "child")) as two:
        await two.connect()
        runs = {r.task_id: r for r in [await two.assigned(), await two.assigned()]}
        again = runs[str(task.id)]
        assert [step.name for step in two.assignment(again).steps] == ["pay"]
        assert (await two.ask_for(again, two.spawn("a"))).spawned.task_ids == [child]
        await two.ask_for(again, two.suspend("a"))
        await two.say(runs[child], two.result(1, "done"))
        back = two.assignment(await two.assigned())
        assert {step.name for step in back.steps} == {"pay", "a"}


@pytest.mark.parametrize("is_child_first", [True, False])
async def test_an_end_and_a_wait_at_the_same_time_lose_nothing(
    world: Any, wire: Any, is_child_first: bool
) -> None:
    """One holds the parent's row while the other comes."""
    await world.worker()
    async with wire(await world.plane(), capabilities=("echo", "child")) as agent:
        await agent.connect()
        parent = await world.submit("echo", 1)
        run = await agent.assigned()
        (child_id,) = (await agent.ask_for(run, agent.spawn("a"))).spawned.task_ids
        child = await agent.assigned()
        async with world.database.transaction() as tx:
            await tx.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", parent.id)
            if is_child_first:
                await agent.say(child, agent.result(1, "x"))
                await world.state(child_id, "succeeded")
                await agent.command(run, agent.suspend("a"))
            else:
                await agent.command(run, agent.suspend("a"))
                await agent.say(child, agent.result(1, "x"))
                await world.state(child_id, "succeeded")
        reply = await agent.replied(agent.commands)
        if reply.HasField("suspended"):
            run = await agent.assigned()
            steps = agent.assignment(run).steps
        else:
            steps = reply.resumed.steps
        assert [step.output.string_value for step in steps] == ["x"]
        await agent.say(run, agent.result(1))
        await world.state(parent.id, "succeeded")


async def test_two_hundred_children_that_end_together_are_a_few_transactions(
    world: Any, wire: Any
) -> None:
    async with wire(await world.plane(), capabilities=("echo", "child"), slots=250) as agent:
        await agent.connect()
        parent = await world.submit("echo", 1)
        run = await agent.assigned()
        names = [f"doc-{n}" for n in range(200)]
        await agent.ask_for(run, agent.spawn(*names))
        await agent.ask_for(run, agent.suspend(*names))
        children = [await agent.assigned() for _ in names]
        for child in children:
            await agent.say(child, agent.result(1, agent.assignment(child).input.string_value))

        async def are_over() -> bool:
            async with world.database.transaction() as tx:
                over = await tx.fetch_value("SELECT count(*) FROM tasks WHERE finish_pending")
            return over == len(names)

        await world.eventually(are_over)
        outbox = Outbox(world.bus, world.database)
        delivery = jobs.FinishDelivery(
            world.database, [], follow=jobs.follow_ends(outbox, world.bus)
        )
        batches = 0
        while await delivery.deliver():
            batches += 1
        await outbox.close()
        assert batches == 2, "a hundred at a time"
        back = agent.assignment(await agent.assigned())
        assert {step.output.string_value for step in back.steps} == set(names)
        assert (await world.task(parent.id)).attempt == 1


async def test_an_end_that_cannot_be_followed_does_not_hold_up_the_others(world: Any) -> None:
    called: list[Any] = []

    async def follow(tx: Any, ended: Any) -> None:
        if bad in ended:
            raise RuntimeError("this one")
        called.extend(ended)

    async with world.database.transaction() as tx:
        for _ in range(3):
            await world.submitter.submit(world.actor, _new(), tx=tx)
        ids = [row["id"] for row in await tx.fetch("SELECT id FROM tasks ORDER BY id")]
        await tx.execute(
            "UPDATE tasks SET state = 'succeeded', finished_at = now(), finish_pending = true"
        )
    bad = ids[1]
    delivery = jobs.FinishDelivery(world.database, [], follow=follow)
    assert await delivery.deliver() == 3
    assert sorted(called) == [ids[0], ids[2]]
    assert await delivery.deliver() == 0, "it would stand before all others"
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE tasks SET finish_retry_at = now()")
    assert await delivery.deliver() == 1


async def test_children_are_the_parents_users_and_only_that_users_agents_run_them(
    world: Any, wire: Any
) -> None:
    member = await world.member("ann")
    plane = await world.plane()
    async with wire(plane) as agent:
        await agent.connect()
        task = await world.submitter.submit(member.actor, _new())
        run = await agent.assigned()
        (child,) = (await agent.ask_for(run, agent.spawn("a"))).spawned.task_ids
        assert (await world.task(child)).user_id == member.actor.user_id
        assert run.task_id == str(task.id)
        async with wire(plane, name="private", capabilities=("secret",)) as private:
            async with world.database.transaction() as tx:
                await tx.execute("UPDATE agents SET shared = false WHERE name = 'private'")
            wanted = agent.spawn("b", agent_id=private.agent_id)
            reply = await agent.ask_for(run, wanted)
            assert reply.refused.code == "agent_not_found"


async def test_a_child_for_an_agent_by_its_id_alone_is_the_same_again(
    world: Any, wire: Any
) -> None:
    await world.worker()
    plane = await world.plane()
    async with wire(plane) as agent, wire(plane, name="one", capabilities=("only",)) as one:
        await agent.connect()
        await one.connect()
        await world.submit("echo", 1)
        run = await agent.assigned()
        wanted = agent.spawn("a", capability="", agent_id=one.agent_id)
        first = (await agent.ask_for(run, wanted)).spawned.task_ids
        assert (await agent.ask_for(run, wanted)).spawned.task_ids == first
        child = await one.assigned()
        assert one.assignment(child).capability == "only"
        await agent.ask_for(run, agent.suspend("a"))
        await one.say(child, one.result(1))
        (step,) = agent.assignment(await agent.assigned()).steps
        expected = hashlib.sha256(f'["{one.agent_id}","","a"]'.encode()).hexdigest()
        assert step.fingerprint == expected


async def test_many_steps_at_once_are_all_kept(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        run = await agent.assigned()
        for number in range(600):
            await agent.command(run, agent.save(f"step-{number}", "x"))
        await asyncio.wait_for(agent.replied(600), 30)
        async with world.database.transaction() as tx:
            assert await tx.fetch_value("SELECT count(*) FROM task_steps") == 600


def _new() -> Any:
    return NewTask(capability="echo", input=1)

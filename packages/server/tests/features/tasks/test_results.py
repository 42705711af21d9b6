"""Results are written many in one statement: all of a batch, or none that is not plainly right."""

import asyncio
from typing import Any

import pytest
from orchestra.features.tasks.service.streams import keeping, outcome
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio

COUNT = 40


async def test_many_results_at_once_are_all_kept_and_told(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        agent.slots = COUNT
        await agent.connect()
        tasks = [await world.submit("echo", number) for number in range(COUNT)]
        given = [await agent.assigned() for _ in tasks]
        for message in given:
            await agent.say(message, agent.result(1, message.task_id))
        ended = await asyncio.gather(*(world.state(task.id, "succeeded") for task in tasks))
    assert [task.result for task in ended] == [str(task.id) for task in tasks]
    for task in tasks[:3]:
        told = [(cursor, kind) for cursor, kind, _ in await world.settled_events(task.id)]
        assert told[-1] == ("2:1", "task.finished")


async def test_one_result_under_a_lease_that_is_over_harms_no_other(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        agent.slots = COUNT
        await agent.connect()
        tasks = [await world.submit("echo", number) for number in range(COUNT)]
        given = [await agent.assigned() for _ in tasks]
        lost = given[COUNT // 2]
        async with world.database.transaction() as tx:
            await tx.execute("UPDATE tasks SET epoch = epoch + 1 WHERE id::text = $1", lost.task_id)
        for message in given:
            await agent.say(message, agent.result(1, message.task_id))
        revoked = await agent.next(pb.TASK_TYPE_REVOKE)
        assert revoked.task_id == lost.task_id
        others = [task for task in tasks if str(task.id) != lost.task_id]
        await asyncio.gather(*(world.state(task.id, "succeeded") for task in others))
    async with world.database.transaction() as tx:
        row = await tx.fetch_one(
            "SELECT state, result FROM tasks WHERE id::text = $1", lost.task_id
        )
        refused = await tx.fetch_value(
            "SELECT count(*) FROM audit_log WHERE action = 'task.stale_write_refused'"
        )
    assert (row["state"], row["result"], refused) == ("running", None, 1)


async def test_an_agent_that_takes_batches_gets_and_gives_many_at_once(
    world: Any, wire: Any
) -> None:
    async with wire(await world.plane()) as agent:
        agent.slots = COUNT
        agent.takes_batches = True
        assert (await agent.connect()).takes_batches
        tasks = [await world.submit("echo", number) for number in range(COUNT)]
        given = [await agent.assigned() for _ in tasks]
        inside = [
            agent.message(
                pb.TASK_TYPE_EVENTS, pb.TaskEvents(events=[agent.result(1, "seven")]), each
            )
            for each in given
        ]
        await agent.send(pb.TASK_TYPE_BATCH, pb.Batch(messages=inside))
        ended = await asyncio.gather(*(world.state(task.id, "succeeded") for task in tasks))
    assert {task.result for task in ended} == {"seven"}


async def test_a_result_that_breaks_its_batch_is_kept_beside_it(
    world: Any, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, broken = outcome.to_ending, list[str]()

    def judge_badly_once(run: Any, *more: Any, **options: Any) -> Any:
        if not broken:
            broken.append(str(run.task_id))
            raise ZeroDivisionError
        return judge(run, *more, **options)

    async with wire(await world.plane()) as agent:
        agent.slots = COUNT
        await agent.connect()
        tasks = [await world.submit("echo", number) for number in range(COUNT)]
        given = [await agent.assigned() for _ in tasks]
        monkeypatch.setattr(keeping, "to_ending", judge_badly_once)
        for message in given:
            await agent.say(message, agent.result(1, message.task_id))
        await asyncio.gather(*(world.state(task.id, "succeeded") for task in tasks))
    assert len(broken) == 1

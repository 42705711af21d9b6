"""How tasks end other than well: retries, time-outs, cancelling, agents that vanish."""

from typing import Any

import pytest
from orchestra.features.events import Outbox
from orchestra.features.tasks import NewTask, Task, cancel
from orchestra.features.tasks.types import RetryPolicy
from orchestra.foundation.database import Transaction
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio


async def stop(world: Any, task: Task, reason: str = "enough") -> Task:
    outbox = Outbox(world.bus, world.database)
    async with world.database.transaction() as tx:
        stopped = await cancel(tx, outbox, world.bus, world.actor, task.id, reason)
    await outbox.close()
    return stopped


async def test_a_waiting_task_is_cancelled_at_once(world: Any) -> None:
    task = await world.submit("echo", 1)
    assert (await stop(world, task)).state == "cancelled"
    assert (await stop(world, task)).state == "cancelled", "asking again changes nothing"
    assert [kind for _, kind, _ in await world.settled_events(task.id)] == [
        "task.status",
        "task.finished",
    ]


async def test_a_running_task_is_cancelled_through_its_agent(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        await agent.say(assigned, agent.token(1, "half of"))
        assert (await stop(world, task)).state == "cancelling"
        asked = await agent.next(pb.TASK_TYPE_CANCEL)
        said = pb.Cancel()
        asked.payload.Unpack(said)
        assert (asked.task_id, said.reason) == (str(task.id), "enough")
        await agent.say(assigned, pb.AgentEvent(sequence=2, cancelled=pb.Cancelled(reason="ok")))
        await world.state(task.id, "cancelled")
    kinds = [(cursor, kind) for cursor, kind, _ in await world.settled_events(task.id)]
    assert (None, "task.cancelling") in kinds
    assert kinds[-1] == ("2:2", "task.finished")


async def test_a_cancelled_agent_may_still_succeed(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        await stop(world, task)
        await agent.say(assigned, agent.result(1, "just done"))
        done = await world.state(task.id, "succeeded", "cancelled")
    assert (done.state, done.result) == ("succeeded", "just done")


async def test_an_agent_that_does_not_stop_is_fenced(world: Any, wire: Any) -> None:
    await world.worker(cancel_grace_seconds=0.3)
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        await stop(world, task)
        await world.state(task.id, "cancelled")
        await agent.next(pb.TASK_TYPE_REVOKE)
        await agent.say(assigned, agent.result(1, "too late"))
        await agent.next(pb.TASK_TYPE_REVOKE)
    assert (await world.task(task.id)).state == "cancelled"


async def test_a_retryable_failure_is_tried_again_and_a_final_one_is_not(
    world: Any, wire: Any
) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1, max_attempts=3)
        await agent.say(await agent.assigned(), agent.failure(1, "busy", retryable=True))
        again = await agent.assigned()
        assert again.epoch == 4
        await agent.say(again, agent.failure(1, "broken", retryable=False))
        failed = await world.state(task.id, "failed")
    assert (failed.error.code, failed.attempt) == ("broken", 2)


async def test_the_last_attempt_ends_the_task(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1, max_attempts=1)
        await agent.say(await agent.assigned(), agent.failure(1, "busy", retryable=True))
        failed = await world.state(task.id, "failed")
    assert (failed.error.code, failed.epoch) == ("busy", 2)
    cursor, kind, end = (await world.settled_events(task.id))[-1]
    assert (cursor, kind, end["error"]["code"]) == ("2:1", "task.finished", "busy")


async def test_a_task_that_nobody_takes_fails_in_time(world: Any) -> None:
    await world.worker()
    task = await world.submit("nobody", 1, queue_timeout_seconds=0.2)
    failed = await world.state(task.id, "failed")
    assert failed.error.code == "queue_timeout"


@pytest.mark.parametrize(
    ("limit", "code"),
    [("run_timeout_seconds", "run_timeout"), ("progress_timeout_seconds", "progress_timeout")],
)
async def test_a_run_that_takes_too_long_is_taken_back_and_tried_again_after_the_pause(
    world: Any, wire: Any, limit: str, code: str
) -> None:
    await world.worker()
    policy = RetryPolicy(max_attempts=2, first_seconds=0.3, jitter=0)
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1, retry=policy, **{limit: 0.4})
        first = await agent.assigned()
        await agent.next(pb.TASK_TYPE_REVOKE)
        second = await agent.assigned()
        assert second.epoch > first.epoch
        failed = await world.state(task.id, "failed")
    assert failed.error.code == code
    async with world.database.transaction() as tx:
        one, two = await tx.fetch(
            "SELECT started_at, ended_at FROM task_attempts WHERE task_id = $1 ORDER BY epoch",
            task.id,
        )
    assert (two["started_at"] - one["ended_at"]).total_seconds() >= 0.3


async def test_the_reconciler_alone_takes_back_what_no_control_plane_answers_for(
    world: Any, wire: Any
) -> None:
    plane = await world.plane(lease_seconds=1.0)
    async with wire(plane) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        await agent.assigned()
        await plane.kill()
    await world.worker()
    requeued = await world.state(task.id, "queued")
    assert (requeued.epoch, requeued.attempt) == (3, 1)


async def test_a_lease_that_expired_cannot_complete_the_task(world: Any, wire: Any) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1, max_attempts=1)
        assigned = await agent.assigned()
        async with world.database.transaction() as tx:  # as if nobody had renewed it
            await tx.execute("UPDATE tasks SET lease_expires_at = now() - interval '1 second'")
        failed = await world.state(task.id, "failed")
        assert failed.error.code == "agent_lost"
        await agent.say(assigned, agent.result(1, "late"))
        await agent.next(pb.TASK_TYPE_REVOKE)
    assert (await world.task(task.id)).result is None


async def test_a_vanished_agents_task_goes_to_another_after_the_grace(
    world: Any, wire: Any
) -> None:
    plane = await world.plane(agent_grace_seconds=0.5)
    async with wire(plane, name="one") as one:
        await one.connect()
        task = await world.submit("echo", 1)
        await one.assigned()
        async with wire(plane, name="two") as two:
            await two.connect()
            await one.disconnect()
            again = await two.assigned(seconds=3)
            await two.say(again, two.result(1, "by the other"))
            done = await world.state(task.id, "succeeded")
    assert (again.epoch, done.attempt, done.result) == (4, 2, "by the other")


async def test_who_submitted_inside_a_transaction_is_called_at_the_end(
    world: Any, wire: Any
) -> None:
    called: list[tuple[str, Any]] = []

    async def on_finished(tx: Transaction, task: Task) -> None:
        called.append((task.state, task.result))
        if len(called) == 1:
            raise RuntimeError("a callback that fails is called again")

    await world.worker(on_finished)
    async with wire(await world.plane()) as agent:
        await agent.connect()
        async with world.database.transaction() as tx:
            new = NewTask(input=1, capability="echo")
            await world.submitter.submit(world.actor, new, tx=tx)
        await agent.say(await agent.assigned(), agent.result(1, "done"))

        async def twice() -> bool:
            return len(called) == 2

        await world.eventually(twice)
    assert called == [("succeeded", "done")] * 2

"""What is forgotten: by age, by number, in small batches that nobody waits for."""

import asyncio
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from orchestra.features.providers import jobs as providers_jobs
from orchestra.features.tasks.repository import retention as repository
from orchestra.features.tasks.repository.retention import Keeping
from orchestra.features.tasks.service.ends.retention import BATCH, Retention
from orchestra.features.tasks.types import QueueName

pytestmark = pytest.mark.anyio


async def finished(world: Any, count: int, *, queue: str = "echo", days: float = 0.0) -> None:
    """So many tasks that ended so long ago, a second apart."""
    async with world.database.transaction() as tx:
        await tx.execute(
            """
            INSERT INTO tasks (id, queue, capability, priority, state, user_id, input, epoch,
                max_attempts, queue_timeout_seconds, created_at, finished_at)
            SELECT gen_random_uuid(), $1, $1, 1, 'succeeded', $2, '1', 2, 3, 60, now(),
                now() - make_interval(secs => $3 * 86400.0 + n)
            FROM generate_series(1, $4::int) AS n
            """,
            queue,
            world.actor.user_id,
            days,
            count,
        )


async def policy(world: Any, queue: str, *, days: float | None, count: int | None) -> None:
    async with world.database.transaction() as tx:
        await tx.execute(
            """
            INSERT INTO queues (name, keep_days, keep_count, updated_at) VALUES ($1, $2, $3, now())
            """,
            queue,
            days,
            count,
        )


async def kept(world: Any, queue: str = "echo") -> int:
    async with world.database.transaction() as tx:
        return await tx.fetch_value("SELECT count(*) FROM tasks WHERE queue = $1", queue)


async def forget(world: Any, **changes: Any) -> None:
    retention = Retention(world.database, world.settings.with_values("test", **changes))
    while await retention.forget_tasks():
        pass


async def test_a_task_is_kept_as_long_as_its_idempotency_key_is_good_for(world: Any) -> None:
    await finished(world, 3)
    keyed = await world.submit("echo", 1, idempotency_key="k")
    async with world.database.transaction() as tx:
        await tx.execute(
            "UPDATE tasks SET state = 'succeeded', finished_at = now() - interval '9 days'"
            " WHERE id = $1",
            keyed.id,
        )
    await policy(world, "echo", days=1.0, count=1)
    await forget(world)
    assert await kept(world) == 2
    assert (await world.submit("echo", 1, idempotency_key="k")).id == keyed.id
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE tasks SET idempotency_key = NULL")
    await forget(world)
    assert await kept(world) == 1


async def test_a_dead_letter_is_kept_until_what_does_it_again_is_over(world: Any) -> None:
    """Over all replays: the key of the last is the id of the first."""
    await finished(world, 3, days=9)
    last = await world.submit("other", 1)
    async with world.database.transaction() as tx:
        await tx.execute(
            """
            WITH placed AS (
                SELECT id, lead(id, 1, $1) OVER (ORDER BY finished_at) AS next
                FROM tasks WHERE finished_at IS NOT NULL
            )
            UPDATE tasks SET replayed_as = next FROM placed WHERE tasks.id = placed.id
            """,
            last.id,
        )
    await policy(world, "echo", days=1.0, count=None)
    await forget(world)
    assert await kept(world) == 3
    async with world.database.transaction() as tx:
        await tx.execute(
            "UPDATE tasks SET state = 'failed', finished_at = now() WHERE id = $1", last.id
        )
    await forget(world)
    assert await kept(world) == 0


async def test_what_ended_long_ago_is_forgotten_with_its_attempts(world: Any) -> None:
    await finished(world, 3, days=31)
    await finished(world, 2, days=29)
    waiting = await world.submit("echo", 1)
    async with world.database.transaction() as tx:
        await tx.execute(
            """
            INSERT INTO task_attempts (task_id, epoch, attempt, agent_id, agent_name, started_at)
            SELECT id, 2, 1, gen_random_uuid(), 'a', now() FROM tasks
            """
        )
    await forget(world, keep_task_days=30.0)
    assert await kept(world) == 3
    assert (await world.task(waiting.id)).state == "queued"
    async with world.database.transaction() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM task_attempts") == 3


async def test_a_queue_keeps_more_or_less_than_the_others(world: Any) -> None:
    for queue in ("longer", "shorter", "echo"):
        await finished(world, 4, queue=queue, days=10)
    await policy(world, "longer", days=365, count=None)
    await policy(world, "shorter", days=1, count=None)
    await forget(world, keep_task_days=30.0)
    assert [await kept(world, queue) for queue in ("longer", "shorter", "echo")] == [4, 0, 4]
    await forget(world, keep_task_days=5.0)
    assert [await kept(world, queue) for queue in ("longer", "echo")] == [4, 0]


async def test_a_queue_keeps_its_newest(world: Any) -> None:
    await finished(world, 20, queue="few")
    await finished(world, 20)
    await policy(world, "few", days=None, count=5)
    async with world.database.transaction() as tx:
        newest = await tx.fetch(
            "SELECT id FROM tasks WHERE queue = 'few' ORDER BY finished_at DESC LIMIT 5"
        )
    await forget(world)
    async with world.database.transaction() as tx:
        left = await tx.fetch("SELECT id FROM tasks WHERE queue = 'few'")
    assert {row["id"] for row in left} == {row["id"] for row in newest}
    assert await kept(world) == 20
    await forget(world, keep_tasks_per_queue=7)
    assert (await kept(world, "few"), await kept(world)) == (5, 7)


async def test_a_tree_is_kept_until_its_root_is_over(world: Any) -> None:
    root = await world.submit("root", 1)
    await finished(world, 1, queue="child", days=99)
    async with world.database.transaction() as tx:
        await tx.execute(
            "UPDATE tasks SET parent_id = $1, root_id = $1 WHERE queue = 'child'", root.id
        )
    await forget(world)
    assert await kept(world, "child") == 1
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE tasks SET finished_at = now() WHERE id = $1", root.id)
    await forget(world)
    assert await kept(world, "child") == 0


async def test_an_end_that_is_not_told_yet_is_kept(world: Any) -> None:
    await finished(world, 1, days=99)
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE tasks SET finish_pending = true")
    await forget(world)
    assert await kept(world) == 1


async def test_a_batch_is_small_and_skips_what_others_hold(world: Any) -> None:
    await finished(world, BATCH + 10, days=99)
    everything = Keeping(QueueName("echo"), 30.0, None)
    async with world.database.transaction() as other:
        held = await other.fetch("SELECT id FROM tasks ORDER BY finished_at LIMIT 20 FOR UPDATE")
        async with asyncio.timeout(5), world.database.transaction() as tx:
            assert await repository.forget(tx, everything, limit=BATCH) == BATCH - 10
    assert await kept(world) == len(held)


async def test_tasks_are_submitted_and_claimed_while_a_batch_is_deleted(
    world: Any, wire: Any
) -> None:
    await finished(world, 2 * BATCH, days=99)
    async with wire(await world.plane()) as agent:
        await agent.connect()
        async with world.database.transaction() as tx:  # a batch that takes very long
            everything = Keeping(QueueName("echo"), 30.0, None)
            assert await repository.forget(tx, everything, limit=BATCH) == BATCH
            task = await world.submit("echo", 1)
            await agent.say(await agent.assigned(seconds=5), agent.result(1))
            await world.state(task.id, "succeeded", seconds=5)


async def test_calls_of_models_are_forgotten_by_age(world: Any) -> None:
    async with world.database.transaction() as tx:
        for days in (100, 1):
            at: datetime = await tx.fetch_value("SELECT now() - $1::interval", timedelta(days=days))
            await tx.execute(
                """
                INSERT INTO model_calls (id, provider, model, duration_ms, outcome, created_at)
                VALUES ($1, 'p', 'm', 1, 'ok', $2)
                """,
                uuid.uuid4(),
                at,
            )
    await providers_jobs.purge(world.database, world.settings)()
    async with world.database.transaction() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM model_calls") == 1

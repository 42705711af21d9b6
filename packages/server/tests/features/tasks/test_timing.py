"""When a task may begin, when it has to be over, and how it is tried again."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from orchestra.features.tasks.service import retrying
from orchestra.features.tasks.service.ends.retention import Retention
from orchestra.features.tasks.types import RetryPolicy
from orchestra.foundation.errors import InvalidInput, Unavailable
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio

EAST = timezone(timedelta(hours=14))


async def test_a_delayed_task_runs_when_its_time_has_come(world: Any, wire: Any) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        later = await world.submit("echo", "later", delay_seconds=0.6)
        moment = datetime.now(UTC) + timedelta(seconds=0.3)
        sooner = await world.submit("echo", "sooner", run_at=moment)
        past = datetime.now(UTC) - timedelta(days=1)
        at_once = await world.submit("echo", "now", run_at=past)
        assert (at_once.run_after, sooner.run_after) == (None, moment)
        assert later.run_after == later.created_at + timedelta(seconds=0.6)
        got = [(await agent.assigned()).task_id for _ in range(3)]
    assert got == [str(at_once.id), str(sooner.id), str(later.id)]
    async with world.database.transaction() as tx:
        started = await tx.fetch_value("SELECT started_at FROM tasks WHERE id = $1", later.id)
    assert started >= later.run_after


async def test_what_is_kept_of_a_task_says_when_and_how(world: Any) -> None:
    policy = RetryPolicy(max_attempts=5, not_on=("broken",))
    made = await world.submit("echo", 1, delay_seconds=60, deadline_seconds=90, retry=policy)
    kept = await world.task(made.id)
    assert (made.run_after, made.deadline) == (kept.run_after, kept.deadline)
    assert (made.retry, kept.retry, kept.max_attempts) == (policy, policy, 5)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"delay_seconds": -1}, "delay_seconds"),
        ({"delay_seconds": float("nan")}, "delay_seconds"),
        ({"delay_seconds": 1e9}, "delay_seconds"),
        ({"delay_seconds": 1, "run_at": datetime.now(UTC)}, "run_at"),
        ({"run_at": datetime(2026, 1, 1)}, "run_at"),  # noqa: DTZ001 - what somebody may send
        ({"run_at": datetime(2126, 1, 1, tzinfo=UTC)}, "run_at"),
        ({"run_at": datetime(1, 1, 1, tzinfo=EAST)}, "run_at"),
        ({"deadline_seconds": 0}, "deadline_seconds"),
        ({"retry": RetryPolicy(max_attempts=0)}, "max_attempts"),
        ({"retry": RetryPolicy(factor=0.5)}, "retry.factor"),
        ({"retry": RetryPolicy(jitter=2)}, "retry.jitter"),
        ({"retry": RetryPolicy(first_seconds=61)}, "retry.first_seconds"),
        ({"retry": RetryPolicy(longest_seconds=float("nan"))}, "retry.first_seconds"),
        ({"retry": RetryPolicy(not_on=("",))}, "retry.not_on"),
    ],
)
async def test_a_mistake_is_named(world: Any, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await world.submit("echo", 1, **wrong)
    assert field in [item.field for item in caught.value.fields]


async def test_a_running_task_is_taken_from_its_agent_at_the_deadline(
    world: Any, wire: Any
) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1, deadline_seconds=0.5, max_attempts=5)
        assigned = await agent.assigned()
        wish = pb.Assignment()
        assigned.payload.Unpack(wish)
        assert wish.deadline.ToDatetime(UTC) == task.deadline
        told = pb.Revoke()
        (await agent.next(pb.TASK_TYPE_REVOKE)).payload.Unpack(told)
        failed = await world.state(task.id, "failed")
        await agent.say(assigned, agent.result(1, "too late"))
        await agent.next(pb.TASK_TYPE_REVOKE)
    assert (failed.error.code, failed.attempt) == ("deadline", 1)
    assert "deadline" in told.reason
    assert (await world.task(task.id)).result is None


@pytest.mark.parametrize("wait", [{}, {"delay_seconds": 3600}])
async def test_a_task_that_waits_ends_at_the_deadline(world: Any, wait: dict[str, Any]) -> None:
    await world.worker()
    task = await world.submit("nobody", 1, deadline_seconds=0.2, **wait)
    assert (await world.state(task.id, "failed")).error.code == "deadline"


async def test_the_deadline_holds_over_attempts(world: Any, wire: Any) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        slow = RetryPolicy(first_seconds=3600, longest_seconds=3600, jitter=0)
        task = await world.submit("echo", 1, deadline_seconds=0.6, retry=slow)
        await agent.say(await agent.assigned(), agent.failure(1, "busy", retryable=True))
        failed = await world.state(task.id, "failed")
    assert (failed.error.code, failed.attempt) == ("deadline", 1)


async def test_an_error_that_the_policy_names_is_not_tried_again(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1, retry=RetryPolicy(max_attempts=5, not_on=("broke",)))
        await agent.say(await agent.assigned(), agent.failure(1, "broke", retryable=True))
        failed = await world.state(task.id, "failed")
    assert (failed.error.code, failed.attempt) == ("broke", 1)
    assert (await world.settled_events(task.id))[-1][0] == f"{failed.epoch}:1"


async def test_a_policy_can_forbid_another_run_after_a_time_out(world: Any, wire: Any) -> None:
    policy = RetryPolicy(max_attempts=5, not_on=("run_timeout",))
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1, run_timeout_seconds=0.3, retry=policy)
        await agent.assigned()
        failed = await world.state(task.id, "failed")
    assert (failed.error.code, failed.attempt) == ("run_timeout", 1)


async def test_the_pause_of_the_policy_is_kept(world: Any, wire: Any) -> None:
    policy = RetryPolicy(first_seconds=0.2, longest_seconds=0.2, jitter=0)
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1, retry=policy)
        await agent.say(await agent.assigned(), agent.failure(1, "busy", retryable=True))
        await agent.say(await agent.assigned(), agent.result(1))
        await world.state(task.id, "succeeded")
    async with world.database.transaction() as tx:
        pause = await tx.fetch_value(
            "SELECT max(started_at) - min(ended_at) FROM task_attempts WHERE task_id = $1", task.id
        )
    assert timedelta(seconds=0.2) <= pause < timedelta(seconds=2)


def test_pauses_grow_and_have_a_longest_one() -> None:
    policy = RetryPolicy(first_seconds=2, factor=3, longest_seconds=20, jitter=0)
    assert [retrying.pause(policy, attempt) for attempt in (1, 2, 3, 100_000)] == [2, 6, 18, 20]


def test_chance_is_the_share_that_the_policy_says() -> None:
    policy = RetryPolicy(first_seconds=10, longest_seconds=10, jitter=0.5)
    pauses = [retrying.pause(policy, 1) for _ in range(200)]
    assert 5 <= min(pauses) < 6 < 9 < max(pauses) <= 10


async def test_a_key_is_free_again_after_its_time(world: Any) -> None:
    first = await world.submit("echo", {"a": 1}, idempotency_key="click")
    retention = Retention(world.database, world.settings)
    assert not await retention.release_keys()
    assert (await world.submit("echo", {"a": 1}, idempotency_key="click")).id == first.id
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE tasks SET created_at = now() - interval '23 hours 59 minutes'")
    await retention.release_keys()
    assert (await world.submit("echo", {"a": 1}, idempotency_key="click")).is_repeated
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE tasks SET created_at = now() - interval '24 hours 1 second'")
    await retention.release_keys()
    second = await world.submit("echo", {"a": 2}, idempotency_key="click")
    assert not second.is_repeated


async def test_keys_that_are_released_while_they_are_used_harm_nobody(world: Any) -> None:
    settings = world.settings.with_values("test", idempotency_hours=0.001)
    retention = Retention(world.database, settings)

    async def submit() -> None:
        for _ in range(30):
            with contextlib.suppress(Unavailable):  # released in this very moment: try again
                await world.submit("echo", 1, idempotency_key="same")
            async with world.database.transaction() as tx:
                await tx.execute("UPDATE tasks SET created_at = now() - interval '1 minute'")
            await retention.release_keys()

    await asyncio.gather(*(submit() for _ in range(3)))

"""What a submit promises: committed once, whoever asks how often."""

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import pytest
from nats.js.errors import NotFoundError
from orchestra.features.tasks import NewTask
from orchestra.features.tasks.errors import IdempotencyConflict, InputTooLarge, QueueFull
from orchestra.features.tasks.repository.submitting import count_by_queue
from orchestra.features.tasks.service.submitting.submit import Submitter
from orchestra.features.tasks.types import Priority
from orchestra.foundation.errors import InvalidInput

pytestmark = pytest.mark.anyio


async def test_the_same_key_and_wish_give_the_same_task(world: Any) -> None:
    first = await world.submit("echo", {"a": 1, "b": 2}, idempotency_key="click-1")
    again = await world.submit("echo", {"b": 2, "a": 1}, idempotency_key="click-1")
    assert not first.is_repeated
    assert again.is_repeated
    assert again.id == first.id


async def test_another_wish_under_a_used_key_is_refused(world: Any) -> None:
    first = await world.submit("echo", {"a": 1}, idempotency_key="click-1")
    with pytest.raises(IdempotencyConflict, match=str(first.id)):
        await world.submit("echo", {"a": 2}, idempotency_key="click-1")


async def test_of_a_hundred_at_once_with_one_key_one_becomes_a_task(world: Any) -> None:
    second = Submitter(world.database, world.bus, world.settings)
    new = NewTask(input=1, capability="echo", idempotency_key="race")
    submits = [
        submitter.submit(world.actor, new)
        for submitter in (world.submitter, second)
        for _ in range(50)
    ]
    tasks = await asyncio.gather(*submits)
    await second.close()
    assert len({task.id for task in tasks}) == 1
    assert sum(not task.is_repeated for task in tasks) == 1


async def test_keys_of_different_people_do_not_meet(world: Any) -> None:
    other = replace(world.actor, user_id=uuid.UUID(int=7))
    mine = await world.submit("echo", 1, idempotency_key="k")
    new = NewTask(input=1, capability="echo", idempotency_key="k")
    assert (await world.submitter.submit(other, new)).id != mine.id


async def test_concurrent_submits_share_transactions(world: Any) -> None:
    tasks = await asyncio.gather(*(world.submit("echo", number) for number in range(300)))
    async with world.database.transaction() as tx:
        commits = await tx.fetch_value("SELECT count(DISTINCT created_at) FROM tasks")
    assert len({task.id for task in tasks}) == 300
    assert commits < 100


async def test_a_task_of_a_transaction_that_fails_does_not_exist(world: Any) -> None:
    async def submit_and_fail() -> None:
        async with world.database.transaction() as tx:
            new = NewTask(input=1, capability="echo")
            await world.submitter.submit(world.actor, new, tx=tx)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await submit_and_fail()
    async with world.database.transaction() as tx:
        assert await count_by_queue(tx) == {}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"capability": ""}, "capability"),
        ({"capability": "not a name"}, "capability"),
        ({"capability": str(uuid.UUID(int=1))}, "capability"),
        ({"idempotency_key": "x" * 201}, "idempotency_key"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"run_timeout_seconds": 0.0}, "run_timeout_seconds"),
        ({"queue_timeout_seconds": float("nan")}, "queue_timeout_seconds"),
    ],
)
async def test_a_mistake_is_named(world: Any, wrong: dict[str, Any], field: str) -> None:
    given: dict[str, Any] = {"input": 1, "capability": "echo", **wrong}
    new = NewTask(**given)
    with pytest.raises(InvalidInput) as caught:
        await world.submitter.submit(world.actor, new)
    assert [item.field for item in caught.value.fields] == [field]


async def test_an_input_over_the_limit_is_refused(world: Any) -> None:
    with pytest.raises(InputTooLarge):
        await world.submit("echo", "x" * world.settings.max_task_input_bytes)


async def test_a_full_queue_says_when_to_come_back(world: Any) -> None:
    settings = world.settings.with_values("test", max_queued_tasks=2)
    submitter = Submitter(world.database, world.bus, settings)
    new = NewTask(input=1, capability="echo")
    await submitter.submit_all(world.actor, [new, new])
    with pytest.raises(QueueFull) as caught:
        await submitter.submit(world.actor, new)
    assert caught.value.retry_after
    await submitter.close()


async def test_what_was_taken_in_before_needs_no_room(world: Any) -> None:
    settings = world.settings.with_values("test", max_queued_tasks=2)
    submitter = Submitter(world.database, world.bus, settings)
    new = NewTask(input=1, capability="echo", idempotency_key="a")
    both = [new, replace(new, idempotency_key="b")]
    first = await submitter.submit_all(world.actor, both)
    again = await submitter.submit(world.actor, new)
    assert (again.id, again.is_repeated) == (first[0].id, True)
    assert [task.id for task in await submitter.submit_all(world.actor, both)] == [
        task.id for task in first
    ]
    with pytest.raises(IdempotencyConflict):
        await submitter.submit(world.actor, replace(new, input=2))
    with pytest.raises(IdempotencyConflict):
        await submitter.submit_all(world.actor, [*both, replace(new, idempotency_key="c")])
    with pytest.raises(QueueFull):
        await submitter.submit(world.actor, replace(new, idempotency_key="c"))
    await submitter.close()


async def test_a_character_that_postgres_cannot_store_harms_nobody(world: Any) -> None:
    task = await world.submit("echo", {"text": "a\0b"})
    assert (await world.task(task.id)).input == {"text": "a\ufffdb"}


async def test_a_submit_tells_readers_and_sends_a_permit(world: Any) -> None:
    queue = f"q{uuid.uuid4().hex}"
    task = await world.submit(queue, 1, priority=Priority.HIGH)

    async def permit() -> Any:
        try:
            return await world.bus.jetstream.get_last_msg("TASKS", f"tasks.high.{queue}")
        except NotFoundError:
            return None

    found = await world.eventually(permit)
    assert found.headers["Nats-Msg-Id"] == f"{task.id}:1"
    events = await world.events(task.id)
    assert [(cursor, kind, data["state"]) for cursor, kind, data in events] == [
        ("1:0", "task.status", "queued")
    ]

"""What a schedule promises: each time once, whoever races, dies or was away."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from orchestra.features.schedules.jobs import on_task_finished
from orchestra.features.tasks import Submitter
from orchestra.foundation.errors import Unavailable

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
RARELY = "0 0 1 1 *"  # so that the only time that comes is the one that a test sets


async def make(http: httpx.AsyncClient, **more: Any) -> Any:
    body = {
        "name": f"s{uuid.uuid4().hex}",
        "cron": "* * * * *",
        "template": {"capability": "echo", "input": 1},
        **more,
    }
    answer = await http.post("/api/schedules", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def read(http: httpx.AsyncClient, made: Any) -> Any:
    return (await http.get(f"/api/schedules/{made['id']}")).json()


async def test_a_time_that_has_come_becomes_a_task_and_the_next_is_set(
    http: httpx.AsyncClient, clockwork: Any
) -> None:
    made = await make(http)
    assert await clockwork.fire() == 0
    due = await clockwork.late(made["id"], timedelta(0))
    await clockwork.fire()
    (task,) = await clockwork.tasks()
    assert task["idempotency_key"] == f"schedule:{made['id']}:{due.isoformat()}"
    seen = await read(http, made)
    assert (seen["last_task_id"], datetime.fromisoformat(seen["last_at"])) == (str(task["id"]), due)
    assert datetime.fromisoformat(seen["next_at"]) == due + MINUTE


async def test_of_many_workers_that_race_one_fires(http: httpx.AsyncClient, clockwork: Any) -> None:
    made = [await make(http) for _ in range(10)]
    for schedule in made:
        await clockwork.late(schedule["id"], timedelta(0))
    await asyncio.gather(*(clockwork.fire() for _ in range(6)))
    assert len(await clockwork.tasks()) == len(made)


class Dying(Submitter):
    """A worker's submitter whose process is killed after the task was written."""

    async def submit(self, *args: Any, **more: Any) -> Any:
        await super().submit(*args, **more)
        raise asyncio.CancelledError


async def test_a_worker_killed_between_the_task_and_the_advance_leaves_neither(
    world: Any, http: httpx.AsyncClient, clockwork: Any
) -> None:
    made = await make(http)
    due = await clockwork.late(made["id"], timedelta(0))
    dying = Dying(world.database, world.bus, world.settings)
    with pytest.raises(asyncio.CancelledError):
        await clockwork.firing(dying).fire_next()
    await dying.close()
    assert await clockwork.tasks() == []
    assert datetime.fromisoformat((await read(http, made))["next_at"]) == due
    await clockwork.fire()
    assert len(await clockwork.tasks()) == 1


class Away(Submitter):
    async def submit(self, *args: Any, **more: Any) -> Any:
        raise Unavailable("PostgreSQL went away")


async def test_a_failure_of_ours_is_tried_again_and_told(
    world: Any, http: httpx.AsyncClient, clockwork: Any
) -> None:
    made = await make(http)
    due = await clockwork.late(made["id"], timedelta(0))
    away = Away(world.database, world.bus, world.settings)
    assert await clockwork.firing(away).fire_next()
    await away.close()
    seen = await read(http, made)
    assert seen["last_error"] == "PostgreSQL went away"
    assert datetime.fromisoformat(seen["next_at"]) == due


@pytest.mark.parametrize(
    ("catch_up", "count", "skipped"), [("none", 0, 6), ("one", 1, 5), ("all", 6, 0)]
)
async def test_what_was_missed_is_made_up_for_as_the_policy_says(
    http: httpx.AsyncClient, clockwork: Any, catch_up: str, count: int, skipped: int
) -> None:
    # Five minutes from each due time, so that none is just passing, whatever the time is.
    newest = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
    cron = f"{newest.minute % 10}-59/10 * * * *"
    made = await make(http, catch_up=catch_up, overlap="queue", cron=cron)
    async with clockwork._world.database.transaction() as tx:
        await tx.execute(
            "UPDATE schedules SET wake_at = now(), next_at = $1, created_at = now()",
            newest - timedelta(minutes=50),
        )
    await clockwork.fire(schedule_grace_seconds=60.0)
    seen = await read(http, made)
    assert (len(await clockwork.tasks()) + seen["pending"], seen["skipped"]) == (count, skipped)
    assert datetime.fromisoformat(seen["next_at"]) > datetime.now(UTC)


async def test_catching_up_is_bounded(http: httpx.AsyncClient, clockwork: Any) -> None:
    made = await make(http, catch_up="all", overlap="queue")
    await clockwork.late(made["id"], timedelta(days=400))
    await clockwork.fire(max_catch_up=5)
    assert len(await clockwork.tasks()) + (await read(http, made))["pending"] == 5


async def test_while_the_last_task_runs_a_time_is_skipped(
    http: httpx.AsyncClient, clockwork: Any
) -> None:
    made = await make(http, overlap="skip", cron=RARELY)
    for ago in (1, 0):
        await clockwork.late(made["id"], ago * MINUTE)
        await clockwork.fire()
    assert len(await clockwork.tasks()) == 1
    assert (await read(http, made))["skipped"] == 1


async def test_a_queued_time_waits_for_the_end_of_the_task_before(
    world: Any, http: httpx.AsyncClient, clockwork: Any, wire: Any
) -> None:
    made = await make(http, overlap="queue", cron=RARELY)
    await clockwork.late(made["id"], MINUTE)
    await clockwork.fire()
    await clockwork.late(made["id"], timedelta(0))
    await clockwork.fire()
    assert len(await clockwork.tasks()) == 1
    assert (await read(http, made))["pending"] == 1
    await world.worker(on_task_finished)
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await agent.say(await agent.assigned(), agent.result(1))

        async def fired() -> bool:
            await clockwork.fire()
            return len(await clockwork.tasks()) == 2

        await world.eventually(fired, 4)  # sooner than the look every five seconds
    assert (await read(http, made))["pending"] == 0


async def test_the_task_before_is_cancelled_if_that_is_wanted(
    http: httpx.AsyncClient, clockwork: Any
) -> None:
    made = await make(http, overlap="cancel_previous", cron=RARELY)
    await clockwork.late(made["id"], timedelta(minutes=3))
    await clockwork.fire()
    await clockwork.late(made["id"], timedelta(0))
    await clockwork.fire()
    assert [task["state"] for task in await clockwork.tasks()] == ["cancelled", "queued"]


async def test_one_time_fires_once_and_is_over(http: httpx.AsyncClient, clockwork: Any) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    made = await make(http, cron=None, at=at.isoformat())
    assert made["upcoming"] == [made["next_at"]]
    await clockwork.late(made["id"], timedelta(minutes=10))
    await clockwork.fire()
    await clockwork.fire()
    assert len(await clockwork.tasks()) == 1
    assert (await read(http, made))["next_at"] is None


async def test_a_schedule_of_somebody_who_may_no_longer_submit_makes_no_task(
    world: Any, http: httpx.AsyncClient, clockwork: Any
) -> None:
    member = await world.member("leaver")
    http.headers["authorization"] = f"Bearer {member.key}"
    made = await make(http)
    async with world.database.transaction() as tx:
        await tx.execute(
            "UPDATE users_v2 SET status = 'disabled' WHERE id = $1", member.actor.user_id
        )
    await clockwork.late(made["id"], timedelta(0))
    await clockwork.fire()
    assert await clockwork.tasks() == []
    http.headers["authorization"] = f"Bearer {world.key}"
    assert "may not submit" in (await read(http, made))["last_error"]

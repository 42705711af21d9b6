"""Priorities that change, and one decision about many tasks."""

import uuid
from typing import Any

import httpx
import pytest
from orchestra.features.tasks import NewTask, Priority, Room
from orchestra.features.tasks.repository import claiming
from orchestra.features.tasks.repository.claiming import Slot
from orchestra.features.tasks.service.ends import dead_letters
from orchestra.features.tasks.types import QueueName

pytestmark = pytest.mark.anyio


async def states(world: Any) -> dict[str, int]:
    async with world.database.transaction() as tx:
        rows = await tx.fetch("SELECT state, count(*) FROM tasks GROUP BY state")
    return {row["state"]: row["count"] for row in rows}


async def fail_all(world: Any, code: str = "broken") -> None:
    async with world.database.transaction() as tx:
        await tx.execute(
            "UPDATE tasks SET state = 'failed', finished_at = now(), error = $1"
            " WHERE state = 'queued'",
            {"code": code, "message": "It broke."},
        )


async def audited(world: Any, action: str) -> list[Any]:
    async with world.database.transaction() as tx:
        return await tx.fetch("SELECT details FROM audit_log WHERE action = $1", action)


async def first_claimed(world: Any) -> str:
    slots = [Slot(uuid.UUID(int=7), "agent")]
    (claim,) = await claiming.claim(
        world.database, [QueueName("echo")], slots=slots, owner=None, lease_seconds=30
    )
    return str(claim.id)


async def test_a_task_whose_priority_rises_goes_first(world: Any, http: httpx.AsyncClient) -> None:
    tasks = [await world.submit("echo", number) for number in range(3)]
    changed = await http.patch(f"/api/tasks/{tasks[2].id}", json={"priority": "high"})
    assert (changed.status_code, changed.json()["priority"]) == (200, "high")
    again = await http.patch(f"/api/tasks/{tasks[2].id}", json={"priority": "high"})
    assert again.status_code == 200
    assert len(await audited(world, "task.priority_changed")) == 1, "again changes nothing"
    assert await first_claimed(world) == str(tasks[2].id)
    refused = await http.patch(f"/api/tasks/{tasks[0].id}", json={"priority": "urgent"})
    assert refused.status_code == 422


async def test_a_task_that_is_over_keeps_its_priority(world: Any, http: httpx.AsyncClient) -> None:
    task = await world.submit("echo", 1)
    await fail_all(world)
    answer = await http.patch(f"/api/tasks/{task.id}", json={"priority": "high"})
    assert (answer.status_code, answer.json()["code"]) == (409, "task_state")


async def test_many_are_cancelled_by_a_filter(world: Any, http: httpx.AsyncClient) -> None:
    new = [NewTask(input=1, capability="echo") for _ in range(30)]
    await world.submitter.submit_all(world.actor, new)
    await world.submit("other", 1)
    body = {"action": "cancel", "filter": {"capability": "echo"}, "reason": "not wanted"}
    done = (await http.post("/api/tasks/bulk", json=body)).json()
    assert done == {"matched": 30, "changed": 30, "next_cursor": None, "refused": []}
    assert await states(world) == {"cancelled": 30, "queued": 1}
    again = (await http.post("/api/tasks/bulk", json=body)).json()
    assert again == {"matched": 0, "changed": 0, "next_cursor": None, "refused": []}
    first, _ = [row["details"] for row in await audited(world, "tasks.bulk_cancel")]
    assert first == {"filter": {"capability": "echo"}, "count": 30, "reason": "not wanted"}


async def test_a_running_task_is_asked_to_stop(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        await agent.assigned()
        body = {"action": "cancel", "filter": {"state": ["running"]}}
        assert (await http.post("/api/tasks/bulk", json=body)).json()["changed"] == 1
        assert (await world.task(task.id)).state == "cancelling"


async def test_more_than_one_request_can_do_goes_on_at_the_cursor(
    world: Any, http: httpx.AsyncClient
) -> None:
    new = [NewTask(input=1, capability="echo") for _ in range(700)]
    await world.submitter.submit_all(world.actor, new)
    body: dict[str, Any] = {
        "action": "priority",
        "priority": "low",
        "filter": {"capability": "echo"},
    }
    first = (await http.post("/api/tasks/bulk", json=body)).json()
    assert (first["matched"], first["changed"]) == (500, 500)
    rest = await http.post("/api/tasks/bulk", json=body | {"cursor": first["next_cursor"]})
    assert rest.json() == {"matched": 200, "changed": 200, "next_cursor": None, "refused": []}
    async with world.database.transaction() as tx:
        low = await tx.fetch_value("SELECT count(*) FROM tasks WHERE priority = $1", Priority.LOW)
    assert low == 700


async def test_what_failed_is_tried_again_once(world: Any, http: httpx.AsyncClient) -> None:
    for number in range(5):
        await world.submit("echo", number)
    await fail_all(world, "timeout")
    await world.submit("echo", 99)
    await fail_all(world, "broken")
    body = {"action": "retry", "filter": {"error_code": "timeout"}}
    done = (await http.post("/api/tasks/bulk", json=body)).json()
    assert done == {"matched": 5, "changed": 5, "next_cursor": None, "refused": []}
    assert await states(world) == {"failed": 6, "queued": 5}
    assert (await http.post("/api/tasks/bulk", json=body)).json()["changed"] == 0
    assert len(await audited(world, "tasks.bulk_retry")) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"action": "cancel", "filter": {}},
        {"action": "cancel"},
        {"action": "explode", "filter": {"capability": "echo"}},
        {"action": "priority", "filter": {"capability": "echo"}},
        {"action": "cancel", "priority": "low", "filter": {"capability": "echo"}},
        {"action": "cancel", "filter": {"capability": "echo"}, "cursor": "nonsense"},
        {"action": "cancel", "filter": {"error_code": "a\0b"}},
        {"action": "cancel", "filter": {"created_after": "0001-01-01T00:00:00+14:00"}},
    ],
)
async def test_a_bulk_request_that_is_wrong_is_refused(
    http: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    assert (await http.post("/api/tasks/bulk", json=body)).status_code == 422


async def test_nobody_decides_about_the_tasks_of_others(world: Any, doors: Any) -> None:
    alice = await doors((await world.member("alice")).key)
    task = await world.submit("echo", 1)
    body = {"action": "cancel", "filter": {"ids": [str(task.id)]}}
    assert (await alice.post("/api/tasks/bulk", json=body)).json()["matched"] == 0
    foreign = body | {"filter": {"user_id": str(world.actor.owner)}}
    assert (await alice.post("/api/tasks/bulk", json=foreign)).json()["matched"] == 0
    changed = await alice.patch(f"/api/tasks/{task.id}", json={"priority": "low"})
    assert changed.status_code == 404
    assert (await world.task(task.id)).state == "queued"


async def test_a_retry_takes_what_is_too_large_together_in_parts(
    world: Any, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the database has them, which is compressed: three letters are larger than that.
    monkeypatch.setattr(dead_letters, "MAX_INPUT_BYTES", 8)
    for _ in range(10):
        await world.submit("echo", "xxx")
    await fail_all(world)
    wish = {"action": "retry", "filter": {"error_code": "broken"}}
    done = (await http.post("/api/tasks/bulk", json=wish)).json()
    assert (done["matched"], done["changed"], done["refused"]) == (10, 10, [])


async def test_one_that_cannot_be_retried_does_not_hide_what_was(
    world: Any, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "MAX_INPUT_BYTES", 1)  # so that each is tried alone
    for number in range(3):
        await world.submit("echo", number)
    await fail_all(world)
    await http.patch("/api/queues/echo", json={"max_queued": 1})
    world.submitter.room = Room(world.database, world.settings)
    wish = {"action": "retry", "filter": {"error_code": "broken"}}
    done = (await http.post("/api/tasks/bulk", json=wish)).json()
    assert (done["matched"], done["changed"]) == (3, 1)
    assert [item["error"]["code"] for item in done["refused"]] == ["queue_full"] * 2


async def test_a_retry_says_why_some_were_left(world: Any, http: httpx.AsyncClient) -> None:
    for number in range(3):
        await world.submit("echo", number)
    await fail_all(world)
    await http.patch("/api/queues/echo", json={"max_queued": 1})
    world.submitter.room = Room(world.database, world.settings)
    wish = {"action": "retry", "filter": {"error_code": "broken"}}
    done = (await http.post("/api/tasks/bulk", json=wish)).json()
    assert (done["matched"], done["changed"]) == (3, 1)
    assert {item["error"]["code"] for item in done["refused"]} == {"queue_full"}

"""Queues over REST: pauses that hold at once, bounds, limits and weights; who may do what."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest
from orchestra.features.tasks.repository import claiming
from orchestra.features.tasks.repository.claiming import Slot
from orchestra.features.tasks.types import QueueName

pytestmark = pytest.mark.anyio

ECHO = QueueName("echo")


async def claim(world: Any, count: int = 1) -> list[Any]:
    slots = [Slot(uuid.UUID(int=7), "agent")] * count
    return await claiming.claim(world.database, [ECHO], slots=slots, owner=None, lease_seconds=30)


async def actions(world: Any) -> list[str]:
    async with world.database.transaction() as tx:
        return [row["action"] for row in await tx.fetch("SELECT action FROM audit_log ORDER BY id")]


async def test_a_paused_queue_starts_nothing_until_it_is_resumed(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    paused = await http.post("/api/queues/echo/pause")
    assert paused.status_code == 200
    assert paused.json()["paused_by"] == world.actor.name
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        with pytest.raises(TimeoutError):
            await agent.assigned(seconds=1.5)
        again = await http.post("/api/queues/echo/pause")
        assert again.json()["paused_at"] == paused.json()["paused_at"]
        resumed = await http.post("/api/queues/echo/resume")
        assert resumed.json()["paused_at"] is None
        assert (await agent.assigned(seconds=1)).task_id == str(task.id)
    assert (await actions(world)).count("queue.paused") == 1
    assert (await actions(world)).count("queue.resumed") == 1


async def test_nothing_is_claimed_once_the_request_to_pause_has_returned(
    world: Any, http: httpx.AsyncClient
) -> None:
    for _ in range(5):
        await world.submit("echo", 1)
    claimed_at: list[float] = []
    is_over = False

    async def claim_on() -> None:
        while not is_over:
            if await claim(world):
                claimed_at.append(asyncio.get_running_loop().time())
            else:
                await asyncio.sleep(0)

    claiming_on = [world.guard.spawn(f"claim {number}", claim_on()) for number in range(3)]
    for _ in range(5):
        await http.post("/api/queues/echo/pause")
        returned = asyncio.get_running_loop().time()
        for _ in range(5):
            await world.submit("echo", 1)
        await claim(world)
        assert all(at <= returned for at in claimed_at)
        await http.post("/api/queues/echo/resume")
        before = len(claimed_at)

        async def goes_on(count: int = before) -> bool:
            return len(claimed_at) > count

        await world.eventually(goes_on)
    is_over = True
    await asyncio.wait(claiming_on, timeout=5)


async def test_a_queue_shows_what_is_in_it(world: Any, http: httpx.AsyncClient) -> None:
    for _ in range(4):
        await world.submit("echo", 1)
    await claim(world)
    async with world.database.transaction() as tx:
        await tx.execute(
            "UPDATE tasks SET run_after = now() + interval '1 hour' WHERE id ="
            " (SELECT max(id::text)::uuid FROM tasks WHERE state = 'queued')"
        )
    shown = (await http.get("/api/queues/echo")).json()
    assert (shown["waiting"], shown["delayed"], shown["limited"], shown["running"]) == (2, 1, 0, 1)
    await world.submit("other", 1)
    first = (await http.get("/api/queues", params={"limit": 1})).json()
    rest = (await http.get("/api/queues", params={"cursor": first["next_cursor"]})).json()
    names = [item["name"] for item in first["items"] + rest["items"]]
    assert names == ["echo", "other"]
    assert rest["next_cursor"] is None


async def test_a_queue_is_changed_and_set_back(world: Any, http: httpx.AsyncClient) -> None:
    body = {"max_queued": 10, "balancing": "round_robin", "keep_days": 1.5, "keep_count": 100}
    changed = (await http.patch("/api/queues/echo", json=body)).json()
    assert {name: changed[name] for name in body} == body
    kept = (await http.patch("/api/queues/echo", json={"max_queued": None})).json()
    assert (kept["max_queued"], kept["balancing"]) == (None, "round_robin")
    assert "queue.changed" in await actions(world)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/queues/echo", {"max_queued": -1}),
        ("/api/queues/echo", {"balancing": "by feeling"}),
        ("/api/queues/echo", {"colour": "red"}),
    ],
)
async def test_a_change_that_is_wrong_is_refused(
    http: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    assert (await http.patch(path, json=body)).status_code == 422


async def test_what_names_no_queue_is_not_found(http: httpx.AsyncClient) -> None:
    for name in ("no queue", str(uuid.uuid4()), "x" * 65):
        answer = await http.get(f"/api/queues/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "queue_not_found")


@pytest.mark.parametrize(
    "body",
    [
        {"scope": "queue", "max_running": 1},
        {"scope": "queue", "queue": "echo"},
        {"scope": "queue", "queue": "echo", "max_running": 0},
        {"scope": "queue", "queue": "echo", "rate": 1},
        {"scope": "key", "max_running": 1},
        {"scope": "key", "key_pointer": "no pointer", "max_running": 1},
        {"scope": "key", "key_pointer": "/a\0b", "max_running": 1},
        {"scope": "user", "key_pointer": "/a", "max_running": 1},
        {"scope": "user", "user_id": str(uuid.UUID(int=5)), "max_running": 1},
        {"scope": "everybody", "max_running": 1},
    ],
)
async def test_a_limit_that_is_wrong_is_refused(
    http: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    assert (await http.post("/api/limits", json=body)).status_code == 422


async def test_a_limit_holds_for_what_waits_and_runs_and_its_end_frees_both(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane(), slots=10) as agent:
        await agent.connect()
        await world.submit("echo", 0)
        first = await agent.assigned()
        limit = await http.post(
            "/api/limits", json={"scope": "queue", "queue": "echo", "max_running": 1}
        )
        assert limit.status_code == 201
        tasks = [await world.submit("echo", number) for number in range(3)]
        with pytest.raises(TimeoutError):
            await agent.assigned(seconds=1.5)
        await agent.say(first, agent.result(1))
        assert (await agent.assigned(seconds=3)).task_id == str(tasks[0].id)
        listed = (await http.get("/api/limits", params={"queue": "echo"})).json()["items"]
        assert [item["id"] for item in listed] == [limit.json()["id"]]
        assert (await http.delete(f"/api/limits/{limit.json()['id']}")).status_code == 204
        for _ in range(2):
            await agent.assigned(seconds=3)
    assert (await http.delete(f"/api/limits/{limit.json()['id']}")).status_code == 404
    assert {"limit.added", "limit.removed"} <= set(await actions(world))


async def test_a_weight_is_set_by_administrators_alone(
    world: Any, doors: Any, http: httpx.AsyncClient
) -> None:
    alice = await world.member("alice")
    path = f"/api/users/{alice.actor.owner}/weight"
    assert (await http.get(path)).json() == {"weight": 1.0}
    assert (await http.put(path, json={"weight": 3})).status_code == 204
    assert (await http.get(path)).json() == {"weight": 3.0}
    assert (await http.put(path, json={"weight": 0})).status_code == 422
    nobody = f"/api/users/{uuid.uuid4()}/weight"
    assert (await http.put(nobody, json={"weight": 3})).status_code == 404
    assert (await http.get(nobody)).status_code == 404
    client = await doors(alice.key)
    assert (await client.get(path)).status_code == 403
    assert (await client.put(path, json={"weight": 100})).status_code == 403
    assert "user.weight_set" in await actions(world)


async def test_members_see_the_queues_that_concern_them_and_change_none(
    world: Any, doors: Any
) -> None:
    alice = await world.member("alice")
    await world.submit("secret", 1)
    client = await doors(alice.key)
    await client.post("/api/tasks", json={"capability": "echo", "input": 1})
    names = [item["name"] for item in (await client.get("/api/queues")).json()["items"]]
    assert names == ["echo"]
    for method, path in (
        ("PATCH", "/api/queues/echo"),
        ("POST", "/api/queues/echo/pause"),
        ("POST", "/api/queues/echo/resume"),
        ("GET", "/api/limits"),
        ("DELETE", f"/api/limits/{uuid.uuid4()}"),
    ):
        answer = await client.request(method, path, json={} if method == "PATCH" else None)
        assert answer.status_code == 403, path


async def test_a_full_queue_refuses_with_a_time_to_come_back(
    world: Any, http: httpx.AsyncClient
) -> None:
    await http.patch("/api/queues/echo", json={"max_queued": 2})
    for _ in range(2):
        taken = await http.post("/api/tasks", json={"capability": "echo", "input": 1})
        assert taken.status_code == 202
    refused = await http.post("/api/tasks", json={"capability": "echo", "input": 1})
    assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    other = await http.post("/api/tasks", json={"capability": "other", "input": 1})
    assert other.status_code == 202
    batch = {"tasks": [{"capability": "echo", "input": 1}] * 2}
    assert (await http.post("/api/tasks/batch", json=batch)).status_code == 429

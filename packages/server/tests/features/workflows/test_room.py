"""Nodes are held to the bounds of their queues: they wait for room, and are never lost."""

import asyncio
from typing import Any

import pytest
from orchestra.features.events import Outbox
from orchestra.features.tasks import rest as tasks_rest
from orchestra.features.workflows import jobs, rest
from orchestra.foundation.concurrency import forever

pytestmark = pytest.mark.anyio

ROOM = "orchestra.features.tasks.service.submitting.room"
FORK = {
    "nodes": {
        "first": {"capability": "echo"},
        "free": {"capability": "echo", "needs": ["first"]},
        "full": {"capability": "narrow", "needs": ["first"], "input": "full"},
        "last": {"capability": "echo", "needs": ["full", "free"]},
    }
}


@pytest.fixture
async def parts(world: Any, anyio_backend: str) -> Any:
    outbox = Outbox(world.bus, world.database)
    yield outbox, world.bus, world.settings, world.submitter.room
    await outbox.close()


@pytest.fixture
async def http(world: Any, parts: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Of an instance that counts what is in its queues all the time."""
    monkeypatch.setattr(f"{ROOM}.COUNT_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(f"{ROOM}.COUNT_SHARE", 1.0)
    monkeypatch.setattr(jobs, "ROOM_SECONDS", 0.05)
    await world.worker(jobs.on_task_finished(*parts))
    world.submitter.rerun = jobs.rerun(*parts)
    door = world.door([*rest.routes, *tasks_rest.routes], outbox=parts[0], feeds=None)
    async with door(world.key) as client:
        yield client


@pytest.fixture
def fill(world: Any, http: Any, parts: Any) -> Any:
    """Makes a queue for one task, which has it already, and a workflow that needs the queue."""

    async def is_known() -> bool:
        await world.submitter.room.look()
        return bool(world.submitter.room.full() == ["narrow"])

    async def fill(spec: Any = FORK) -> None:
        answer = await http.patch("/api/queues/narrow", json={"max_queued": 1})
        assert answer.status_code == 200, answer.text
        await world.submit("narrow", "before")
        assert (await http.post("/api/workflows", json={"name": "fork", "spec": spec})).is_success
        await world.eventually(is_known)
        # Not earlier: a count that had begun before the submit would overwrite what is known.
        begin = jobs.begin_waiting(world.database, *parts)
        world.guard.spawn("room", forever("room", begin))

    return fill


async def waiting(http: Any) -> int:
    counts = (await http.get("/api/queues/narrow")).json()
    return int(counts["waiting"])


async def test_a_node_waits_for_room_in_its_queue_while_others_go_on(
    world: Any, wire: Any, http: Any, fill: Any
) -> None:
    await fill()
    plane = await world.plane()
    async with wire(plane) as agent, wire(plane, name="slow", capabilities=("narrow",)) as slow:
        await agent.connect()
        run_id = (await http.post("/api/workflows/fork/runs", json={"input": 1})).json()["task_id"]
        for _ in range(2):  # first and free
            await agent.say(await agent.assigned(), agent.result(1, "done"))

        async def is_held() -> Any:
            why = (await http.get(f"/api/tasks/{run_id}/why")).json()
            return why if why["code"] == "waiting_for_room" else None

        assert (await world.eventually(is_held))["parameters"] == {"queues": ["narrow"]}
        assert await waiting(http) == 1, "the bound of the queue holds"
        seen = (await http.get(f"/api/tasks/{run_id}")).json()
        assert (seen["state"], seen["waits_for"]["until"]) == ("waiting", None)
        await slow.connect()
        inputs: list[str] = []
        for _ in range(2):
            work = await slow.assigned()
            inputs.append(slow.assignment(work).input.string_value)
            await slow.say(work, slow.result(1, "narrow"))
        assert inputs == ["before", "full"]
        last = await agent.assigned()
        why = (await http.get(f"/api/tasks/{run_id}/why")).json()
        assert why["code"] != "waiting_for_room"
        await agent.say(last, agent.result(1, "done"))
        done = await world.state(run_id, "succeeded", "failed")
    assert done.result["full"] == "narrow"


async def test_of_many_runs_that_wait_for_room_each_gets_it(
    world: Any, wire: Any, http: Any, fill: Any
) -> None:
    await fill()
    plane = await world.plane()
    async with (
        wire(plane, slots=8) as agent,
        wire(plane, name="slow", capabilities=("narrow",)) as slow,
    ):
        await agent.connect()
        starts = [http.post("/api/workflows/fork/runs", json={"input": n}) for n in range(4)]
        runs = [answer.json()["task_id"] for answer in await asyncio.gather(*starts)]
        for _ in range(8):
            await agent.say(await agent.assigned(), agent.result(1, "done"))
        assert await waiting(http) == 1
        await slow.connect()
        for _ in range(5):
            await slow.say(await slow.assigned(), slow.result(1, "narrow"))
        for _ in range(4):
            await agent.say(await agent.assigned(), agent.result(1, "done"))
        for run_id in runs:
            await world.state(run_id, "succeeded")


async def test_a_run_that_could_begin_nothing_is_refused_like_a_task(
    world: Any, wire: Any, http: Any, fill: Any
) -> None:
    await fill({"nodes": {"only": {"capability": "narrow"}}})
    wish = {"input": 1}
    answer = await http.post("/api/workflows/fork/runs", json=wish)
    assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
    assert "retry-after" in answer.headers
    assert (await http.get("/api/workflows/fork/runs")).json()["items"] == []
    async with wire(await world.plane(), capabilities=("narrow",)) as agent:
        await agent.connect()
        await agent.assigned()

        async def has_room() -> bool:
            answer = await http.post("/api/workflows/fork/runs", json=wish)
            return bool(answer.status_code == 202)

        await world.eventually(has_room)


async def test_a_run_that_waits_for_room_can_be_cancelled(
    world: Any, wire: Any, http: Any, fill: Any
) -> None:
    await fill()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        run_id = (await http.post("/api/workflows/fork/runs", json={"input": 1})).json()["task_id"]
        for _ in range(2):
            await agent.say(await agent.assigned(), agent.result(1, "done"))
        await http.post(f"/api/tasks/{run_id}/cancel")
        await world.state(run_id, "cancelled")
    assert await waiting(http) == 1

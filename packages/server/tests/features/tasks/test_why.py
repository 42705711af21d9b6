"""Why a task waits: every code once, from what is so and not from what is likely."""

import uuid
from typing import Any

import httpx
import pytest
from orchestra.features.tasks import Priority
from orchestra.features.tasks.service.reading.telling import Teller
from orchestra.features.tasks.service.reading.why import why as explained
from orchestra.features.tasks.service.reading.wording import ordinal, seconds_words
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio


async def why(http: httpx.AsyncClient, task: Any) -> dict[str, Any]:
    answer = await http.get(f"/api/tasks/{task.id}/why")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def run_sql(world: Any, sql: str, *values: Any) -> None:
    async with world.database.transaction() as tx:
        await tx.execute(sql, *values)


async def have_taken(world: Any, queue: str, *, seconds: float, state: str = "succeeded") -> None:
    """As if some tasks of the queue had just ended, each after so long."""
    await run_sql(
        world,
        "INSERT INTO tasks (id, queue, capability, priority, state, user_id, input, max_attempts,"
        " queue_timeout_seconds, created_at, started_at, finished_at)"
        " SELECT gen_random_uuid(), $1, $1, 1, $3, $4, 'null', 1, 60, now(),"
        " now() - make_interval(secs => $2), now() FROM generate_series(1, 5)",
        queue,
        seconds,
        state,
        world.actor.owner,
    )


async def test_nobody_can_do_it(world: Any, http: httpx.AsyncClient) -> None:
    said = await why(http, await world.submit("echo", 1))
    assert (said["code"], said["message"]) == (
        "no_agent",
        "No agent that can do echo is connected.",
    )


async def test_all_are_busy_with_a_place_and_a_time(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane(), slots=2) as agent:
        await agent.connect()
        tasks = [await world.submit("echo", number) for number in range(5)]
        assigned = [await agent.assigned() for _ in range(2)]
        said = await why(http, tasks[4])
        assert (said["code"], said["parameters"]["position"]) == ("all_busy", 3)
        assert said["parameters"]["seconds"] is None
        assert said["message"].endswith("3rd in line, nothing measured yet.")
        await have_taken(world, "echo", seconds=20)
        said = await why(http, tasks[4])
        assert said["parameters"]["seconds"] == pytest.approx(40, abs=3), "after one of each slot"
        assert "All 2 are busy" in said["message"]
        assert "3rd in line, about " in said["message"]
        running = await why(http, tasks[0])
        assert (running["code"], running["parameters"]["agent_name"]) == ("running", "wire")
        await agent.say(assigned[0], agent.result(1))
        await world.state(uuid.UUID(assigned[0].task_id), "succeeded")
        assert (await why(http, tasks[0]))["code"] == "over"


async def test_long_tasks_that_run_are_waited_for_by_short_ones(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    await have_taken(world, "echo", seconds=0.1)
    await have_taken(world, "echo", seconds=500, state="failed")
    await have_taken(world, "render", seconds=20)
    async with wire(await world.plane(), slots=1, capabilities=("echo", "render")) as agent:
        await agent.connect()
        await world.submit("render", 1)
        await agent.assigned()
        await run_sql(
            world,
            "UPDATE tasks SET started_at = now() - interval '8 seconds' WHERE state = 'running'",
        )
        first, second = [await world.submit("echo", number) for number in range(2)]
        said = await why(http, first)
        assert (said["code"], said["parameters"]["position"]) == ("all_busy", 1)
        seconds = said["parameters"]["seconds"]
        assert 5 < seconds <= 12, "what is left of 20 s"
        behind = (await why(http, second))["parameters"]["seconds"]
        assert 5 < behind <= 12.2


async def test_what_waits_in_other_queues_of_its_agents_may_go_first(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane(), slots=1, capabilities=("echo", "other")) as agent:
        await agent.connect()
        await world.submit("other", 1)
        await agent.assigned()
        await have_taken(world, "echo", seconds=20)
        for number in range(3):
            await world.submit("other", number, priority=Priority.CRITICAL)
        task = await world.submit("echo", 1)
        said = await why(http, task)
        assert said["code"] == "all_busy"
        assert (said["parameters"]["position"], said["parameters"]["elsewhere"]) == (1, 3)
        assert said["parameters"]["seconds"] is None
        assert "1st in line, and 3 tasks of their other queues may go first" in said["message"]
        await world.submit("other", 1, priority=Priority.LOW)
        assert (await why(http, task))["parameters"]["elsewhere"] == 3
        await http.post("/api/queues/other/pause")
        assert (await why(http, task))["parameters"]["elsewhere"] == 0


async def test_a_slot_is_free(world: Any, wire: Any, http: httpx.AsyncClient) -> None:
    async with wire(await world.plane(), slots=2) as agent:
        await agent.connect()
        await http.post("/api/queues/echo/pause")
        task = await world.submit("echo", 1)
        assert (await why(http, task))["code"] == "queue_paused"
        await run_sql(world, "UPDATE queues SET paused_at = NULL")
        assert (await why(http, task))["code"] in ("about_to_start", "running")


async def test_slots_are_free_but_many_are_before_it(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane(), slots=2) as agent:
        await agent.connect()
        await http.post("/api/queues/echo/pause")
        tasks = [await world.submit("echo", number) for number in range(3)]
        async with world.database.transaction() as tx:  # seen by nobody else: none is claimed
            await tx.execute("UPDATE queues SET paused_at = NULL")
            said = await explained(tx, world.actor, tasks[2].id)
    assert said.code == "in_line"
    assert said.message == (
        "2 of 2 slots are free (wire), but not for so many at once; "
        "it is 3rd in line, nothing measured yet."
    )
    assert (said.parameters["free"], said.parameters["position"]) == (2, 3)


async def test_it_is_for_its_owner_s_agents_only(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    alice = await world.member("alice")
    async with wire(await world.plane(), key=alice.key) as agent:
        await agent.connect()
        assert (await why(http, await world.submit("echo", 1)))["code"] == "only_owner_agents"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("drained_at = now(), reason = 'to be updated'", "agent_draining"),
        ("quarantined_at = now(), reason = 'has failed 5 times'", "agent_quarantined"),
        ("status = 'unhealthy'", "no_agent"),
    ],
)
async def test_its_agents_are_out_of_service(
    world: Any, http: httpx.AsyncClient, change: str, code: str
) -> None:
    await run_sql(
        world,
        "INSERT INTO agents (id, name, owner_id, capabilities, status, created_at, updated_at)"
        " VALUES ($1, 'worker', $2, '{echo}', 'online', now(), now())",
        uuid.uuid4(),
        world.actor.owner,
    )
    await run_sql(world, "UPDATE agents SET " + change)  # noqa: S608 - one of those above
    said = await why(http, await world.submit("echo", 1))
    assert said["code"] == code
    assert "worker" in said["message"]


async def test_a_limit_is_reached(world: Any, wire: Any, http: httpx.AsyncClient) -> None:
    body = {"scope": "user", "queue": "echo", "max_running": 1}
    assert (await http.post("/api/limits", json=body)).status_code == 201
    async with wire(await world.plane(), slots=5) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        await agent.assigned()
        said = await why(http, await world.submit("echo", 2))
    assert said["code"] == "limit_reached"
    assert said["message"] == "Your limit, 1 at a time, is reached."


async def test_a_rate_is_used_up(world: Any, wire: Any, http: httpx.AsyncClient) -> None:
    body = {"scope": "queue", "queue": "echo", "rate": 1, "per_seconds": 60}
    assert (await http.post("/api/limits", json=body)).status_code == 201
    async with wire(await world.plane(), slots=5) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        await agent.assigned(seconds=3)
        said = await why(http, await world.submit("echo", 2))
    assert said["code"] == "rate_limited"
    assert 50 <= said["parameters"]["seconds"] <= 60


async def test_it_is_scheduled_or_pauses_before_another_attempt(
    world: Any, http: httpx.AsyncClient
) -> None:
    task = await world.submit("echo", 1)
    await run_sql(world, "UPDATE tasks SET run_after = now() + interval '30 seconds'")
    said = await why(http, task)
    assert (said["code"], said["message"][:20]) == ("scheduled", "It is scheduled for ")
    await run_sql(world, "UPDATE tasks SET epoch = 3, attempt = 1")
    said = await why(http, task)
    assert said["code"] == "retry_pause"
    assert said["message"].startswith("Attempt 2 of 3 starts in ")
    await run_sql(world, "UPDATE tasks SET run_after = now() - interval '1 second'")
    assert (await why(http, task))["code"] == "about_to_start"


async def test_it_waits_for_others(world: Any, http: httpx.AsyncClient) -> None:
    task = await world.submit("echo", 1)
    approval = uuid.uuid4()
    await run_sql(
        world, "UPDATE tasks SET state = 'waiting', wait_names = '{ask,one,two,nap}', epoch = 3"
    )
    await run_sql(
        world,
        "INSERT INTO approvals (id, task_id, user_id, name, kind, question, data, data_hash,"
        " state, created_at, expires_at) VALUES ($1, $2, $3, 'ask', 'approve', 'Send it?', '{}',"
        " 'x', 'open', now(), now() + interval '1 hour')",
        approval,
        task.id,
        task.user_id,
    )
    for name, kind in (("ask", "question"), ("one", "child"), ("two", "child"), ("nap", "timer")):
        await run_sql(
            world,
            "INSERT INTO task_steps (task_id, name, kind, epoch, created_at, approval_id, due_at)"
            " VALUES ($1, $2, $3, 2, now(), $4, now() + interval '1 hour')",
            task.id,
            name,
            kind,
            approval if kind == "question" else None,
        )
    said = await why(http, task)
    assert (said["code"], said["parameters"]["question"]) == ("waiting_for_approval", "Send it?")
    await run_sql(world, "UPDATE task_steps SET settled_at = now() WHERE kind = 'question'")
    said = await why(http, task)
    assert said["code"] == "waiting_for_children"
    assert said["message"] == "It waits for 2 child tasks of 4."
    await run_sql(world, "UPDATE task_steps SET settled_at = now() WHERE kind = 'child'")
    assert (await why(http, task))["code"] == "waiting_for_timer"
    await run_sql(world, "UPDATE tasks SET state = 'cancelling'")
    said = await why(http, task)
    assert said["code"] == "waiting_for_children"
    assert said["message"].startswith("It is being cancelled")


async def test_a_foreign_task_is_not_explained(world: Any, doors: Any) -> None:
    alice = await doors((await world.member("alice")).key)
    task = await world.submit("echo", 1)
    assert (await alice.get(f"/api/tasks/{task.id}/why")).status_code == 404


async def test_followers_are_told_once_why_a_task_waits(
    world: Any, http: httpx.AsyncClient
) -> None:
    task = await world.submit("echo", 1)
    teller = Teller(world.database, world.bus)
    await teller.step()
    assert [kind for _, kind, _ in await world.events(task.id)] == ["task.status"], "not yet"
    await run_sql(world, "UPDATE tasks SET created_at = now() - interval '3 seconds'")
    for _ in range(2):
        await teller.step()
    await http.post("/api/queues/echo/pause")
    for _ in range(2):
        await teller.step()

    async def told() -> list[str]:
        found = await world.events(task.id)
        codes = [said["code"] for _, kind, said in found if kind == "task.waiting"]
        return codes if len(codes) == 2 else []

    assert await world.eventually(told) == ["no_agent", "queue_paused"]


def test_numbers_are_said_as_people_say_them() -> None:
    assert [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 21, 113)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "113th")
    ]
    assert [seconds_words(seconds) for seconds in (0.2, 40, 240, 7200, 200_000)] == [
        *("1 s", "40 s", "4 min", "2 h", "2 d")
    ]


async def test_a_task_that_gives_its_slot_back_says_for_what(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        run = await agent.assigned()
        wanted = pb.Command(suspend=pb.Suspend(name="nap", seconds=600))
        await agent.ask_for(run, wanted)
        await world.state(task.id, "waiting")

    async def told() -> Any:
        found = await world.events(task.id)
        return next((said for _, kind, said in found if kind == "task.waiting"), None)

    said = await world.eventually(told)
    assert (said["code"], said["epoch"]) == ("waiting_for_timer", (await world.task(task.id)).epoch)

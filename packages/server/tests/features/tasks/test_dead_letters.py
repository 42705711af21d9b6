"""What failed for good: grouped by its error, looked at, done again, put away."""

import uuid
from typing import Any

import httpx
import pytest
from orchestra.features.tasks.service.ends import dead_letters as service

pytestmark = pytest.mark.anyio

ROOT = "/api/dead-letters"


async def failed(
    world: Any, message: str, *, code: str = "broken", capability: str = "echo", **more: Any
) -> str:
    """A task that has ended with that error."""
    task = await world.submit(capability, {"n": 1}, **more)
    async with world.database.transaction() as tx:
        await tx.execute(
            "UPDATE tasks SET state = 'failed', finished_at = now(), error = $2 WHERE id = $1",
            task.id,
            {"code": code, "message": message},
        )
    return str(task.id)


async def groups(http: httpx.AsyncClient) -> Any:
    return (await http.get(ROOT)).json()["items"]


async def test_failures_that_differ_in_numbers_and_ids_are_one_group(
    world: Any, http: httpx.AsyncClient
) -> None:
    for message in (
        "Row 17 of 3fa85f64-5717-4562-b3fc-2c963f66afa6 is bad.",
        "row 4,711 of 0a0a0a0a-aaaa-bbbb-cccc-dddddddddddd is bad.",
    ):
        await failed(world, message)
    await failed(world, "Row 17 is missing.")
    await failed(world, "Row 17 is missing.", code="absent")
    found = await groups(http)
    assert sorted(group["count"] for group in found) == [1, 1, 2]
    (pair,) = [group for group in found if group["count"] == 2]
    assert pair["error"]["message"].startswith("row 4,711")
    assert pair["capability"] == "echo"


async def test_the_same_error_of_another_capability_is_another_group(
    world: Any, http: httpx.AsyncClient
) -> None:
    mine = [await failed(world, "late", capability=name) for name in ("ask", "nap", "ask")]
    found = {group["capability"]: group for group in await groups(http)}
    assert {name: group["count"] for name, group in found.items()} == {"ask": 2, "nap": 1}
    asked = (await http.get(f"{ROOT}/{found['ask']['fingerprint']}")).json()["items"]
    assert {task["id"] for task in asked} == {mine[0], mine[2]}
    wish = {"fingerprint": found["nap"]["fingerprint"]}
    answer = (await http.post(f"{ROOT}/replay", json=wish)).json()
    assert [item["task_id"] for item in answer["items"]] == [mine[1]]
    assert [group["capability"] for group in await groups(http)] == ["ask"]
    assert (await http.post(f"{ROOT}/discard", json=wish)).status_code == 404


async def test_a_group_is_listed_page_by_page(world: Any, http: httpx.AsyncClient) -> None:
    made = [await failed(world, f"step {number}") for number in range(5)]
    (group,) = await groups(http)
    seen: list[str] = []
    asked: dict[str, str] | None = {"limit": "2"}
    while asked is not None:
        page = (await http.get(f"{ROOT}/{group['fingerprint']}", params=asked)).json()
        seen += [task["id"] for task in page["items"]]
        asked = {"limit": "2", "cursor": page["next_cursor"]} if page["next_cursor"] else None
    assert seen == made[::-1]


async def test_groups_are_listed_page_by_page(world: Any, http: httpx.AsyncClient) -> None:
    for letter in "abcde":
        await failed(world, "no", code=letter)
    first = (await http.get(ROOT, params={"limit": 3})).json()
    rest = (await http.get(ROOT, params={"limit": 3, "cursor": first["next_cursor"]})).json()
    codes = [group["error"]["code"] for group in first["items"] + rest["items"]]
    assert (codes, rest["next_cursor"]) == (list("edcba"), None)


async def test_one_is_replayed_with_another_input_and_once(
    world: Any, http: httpx.AsyncClient
) -> None:
    dead = await failed(world, "no", max_attempts=7, run_timeout_seconds=12.0)
    wish = {"task_ids": [dead], "input": {"n": 2}}
    answer = await http.post(f"{ROOT}/replay", json=wish)
    assert answer.status_code == 202, answer.text
    (item,) = answer.json()["items"]
    fresh = await world.task(item["replayed_as"])
    assert (fresh.input, fresh.state, fresh.max_attempts) == ({"n": 2}, "queued", 7)
    again = await http.post(f"{ROOT}/replay", json=wish)
    assert (again.status_code, again.json()["code"]) == (404, "task_not_found")
    assert await groups(http) == []


async def test_a_group_is_replayed_as_it_was_and_each_for_its_owner(
    world: Any, http: httpx.AsyncClient
) -> None:
    member = await world.member("owner")
    mine, world.actor = world.actor, member.actor
    theirs = await failed(world, "boom 1")
    world.actor = mine
    await failed(world, "boom 2")
    (group,) = await groups(http)
    answer = (await http.post(f"{ROOT}/replay", json={"fingerprint": group["fingerprint"]})).json()
    assert (len(answer["items"]), answer["remaining"]) == (2, 0)
    (pair,) = [item for item in answer["items"] if item["task_id"] == theirs]
    fresh = await world.task(pair["replayed_as"])
    assert (fresh.user_id, fresh.input) == (member.actor.user_id, {"n": 1})


async def run_to_failure(world: Any, agent: Any, *, steps: tuple[str, ...] = ()) -> Any:
    """The next assignment, of which these steps are kept before it fails for good."""
    run = await agent.assigned()
    for name in steps:
        await agent.ask_for(run, agent.save(name, f"{name} done"))
    await agent.say(run, agent.failure(1, "broken", retryable=False))
    await world.state(uuid.UUID(run.task_id), "failed")
    return agent.assignment(run)


async def replayed(http: httpx.AsyncClient, dead: Any, **more: Any) -> str:
    answer = await http.post(f"{ROOT}/replay", json={"task_ids": [str(dead)], **more})
    (item,) = answer.json()["items"]
    return item["replayed_as"]


async def test_a_replay_does_no_effect_again_and_has_the_same_key(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", {"n": 1}, max_attempts=1)
        await run_to_failure(world, agent, steps=("charge",))
        fresh = await replayed(http, task.id)
        second = await run_to_failure(world, agent, steps=("ship",))
        assert [(step.name, step.output.string_value) for step in second.steps] == [
            ("charge", "charge done")
        ]
        await replayed(http, fresh)
        third = agent.assignment(await agent.assigned())
        assert {step.name for step in third.steps} == {"charge", "ship"}
    assert {second.idempotency_key, third.idempotency_key} == {str(task.id)}


async def test_a_replay_with_another_input_begins_anew(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", {"n": 1}, max_attempts=1)
        await run_to_failure(world, agent, steps=("charge",))
        fresh = await replayed(http, task.id, input={"n": 2})
        second = await run_to_failure(world, agent)
        assert (list(second.steps), second.idempotency_key) == ([], fresh)
        await replayed(http, fresh)
        assert agent.assignment(await agent.assigned()).idempotency_key == fresh


async def test_a_replay_keeps_the_blobs_of_the_effects_it_keeps(
    world: Any, http: httpx.AsyncClient
) -> None:
    dead = await failed(world, "no")
    async with world.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO blob_uploads (id, sha256, touched_at) VALUES ($1, '\\x01', now())",
            uuid.UUID(dead),
        )
        await tx.execute(
            "INSERT INTO blob_references (task_id, sha256, user_id) VALUES ($1, '\\x01', $2)",
            uuid.UUID(dead),
            world.actor.user_id,
        )
        await tx.execute(
            """
            INSERT INTO task_steps (task_id, name, kind, output, epoch, created_at, settled_at)
            VALUES ($1, 'draw', 'effect', '{}', 2, now(), now())
            """,
            uuid.UUID(dead),
        )
    fresh = await replayed(http, dead)
    async with world.database.transaction() as tx:
        rows = await tx.fetch("SELECT task_id FROM blob_references")
    assert {str(row["task_id"]) for row in rows} == {dead, fresh}


async def test_dead_letters_of_others_do_not_exist(world: Any, http: httpx.AsyncClient) -> None:
    dead = await failed(world, "no")
    (group,) = await groups(http)
    http.headers["authorization"] = f"Bearer {(await world.member('other')).key}"
    assert await groups(http) == []
    answers = [
        await http.get(f"{ROOT}/{group['fingerprint']}"),
        await http.post(f"{ROOT}/replay", json={"task_ids": [dead]}),
        await http.post(f"{ROOT}/replay", json={"fingerprint": group["fingerprint"]}),
        await http.post(f"{ROOT}/discard", json={"task_ids": [dead]}),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4


async def test_what_is_discarded_is_out_of_the_list_and_stays_failed(
    world: Any, http: httpx.AsyncClient
) -> None:
    dead = await failed(world, "no")
    answer = await http.post(f"{ROOT}/discard", json={"task_ids": [dead]})
    assert answer.json() == {"discarded": 1, "remaining": 0}
    assert await groups(http) == []
    assert (await world.task(dead)).state == "failed"
    async with world.database.transaction() as tx:
        row = await tx.fetch_one("SELECT action, target_id FROM audit_log ORDER BY id DESC LIMIT 1")
    assert (row["action"], row["target_id"]) == ("dead_letters.discarded", dead)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"task_ids": []},
        {"fingerprint": "nonsense"},
        {"task_ids": ["00000000-0000-0000-0000-000000000001"], "fingerprint": "0" * 16},
        {"fingerprint": "0" * 16, "unknown": 1},
    ],
)
async def test_a_request_that_is_wrong_is_refused(
    http: httpx.AsyncClient, wrong: dict[str, Any]
) -> None:
    assert (await http.post(f"{ROOT}/replay", json=wrong)).status_code == 422


async def test_large_inputs_are_replayed_a_few_at_a_time(
    world: Any, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_INPUT_BYTES", 1)  # so that each fills a request
    dead = [await failed(world, f"boom {number}") for number in range(5)]
    (group,) = await groups(http)
    named = await http.post(f"{ROOT}/replay", json={"task_ids": dead})
    assert (named.status_code, named.json()["code"]) == (413, "input_too_large")
    left: list[int] = []
    for _ in range(3):
        answer = await http.post(f"{ROOT}/replay", json={"fingerprint": group["fingerprint"]})
        left.append(answer.json()["remaining"])
    assert left == [4, 3, 2]


async def test_another_input_is_for_one_task_only(world: Any, http: httpx.AsyncClient) -> None:
    dead = [await failed(world, "no"), await failed(world, "no")]
    answer = await http.post(f"{ROOT}/replay", json={"task_ids": dead, "input": 1})
    assert answer.status_code == 422
    assert len(await groups(http)) == 1


async def test_a_task_that_keeps_losing_its_agent_is_set_aside(world: Any, wire: Any) -> None:
    plane = await world.plane(agent_grace_seconds=0.1, poison_attempts=2)
    task = await world.submit("echo", 1, max_attempts=10)
    for number in (1, 2):
        async with wire(plane, name=f"victim-{number}") as agent:
            await agent.connect()
            await agent.assigned()
            await agent.disconnect()
    done = await world.state(task.id, "failed")
    assert (done.error.code, done.attempt) == ("poison", 2)
    assert "lost 2 times" in done.error.message


async def test_an_agent_that_was_only_away_does_not_count(world: Any, wire: Any) -> None:
    plane = await world.plane(agent_grace_seconds=0.1, poison_attempts=2)
    task = await world.submit("echo", 1, max_attempts=10)
    async with wire(plane, name="traveller") as agent:
        await agent.connect()
        run = await agent.assigned()
        for _ in range(3):
            await agent.disconnect()
            await world.state(task.id, "queued")
            welcome = await agent.connect((run.task_id, run.epoch))
            assert list(welcome.resumed) == []
            run = await agent.assigned()
        await agent.say(run, agent.result(1))
        done = await world.state(task.id, "succeeded", "failed")
    assert (done.state, done.attempt) == ("succeeded", 4)


async def test_what_another_agent_had_cannot_be_forgiven(world: Any, wire: Any) -> None:
    plane = await world.plane(agent_grace_seconds=0.1)
    task = await world.submit("echo", 1, max_attempts=10)
    async with wire(plane, name="victim") as agent:
        await agent.connect()
        run = await agent.assigned()
        await agent.disconnect()
    await world.state(task.id, "queued")
    async with wire(plane, name="liar", capabilities=("other",)) as agent:
        await agent.connect((run.task_id, run.epoch), ("no id", 1))
    async with world.database.transaction() as tx:
        lost = await tx.fetch_value("SELECT agents_lost FROM tasks WHERE id = $1", task.id)
    assert lost == 1

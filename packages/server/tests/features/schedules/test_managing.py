"""Schedules over REST: what is accepted, who sees what, what a change does."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

DAILY: dict[str, Any] = {
    "name": "daily",
    "cron": "0 6 * * *",
    "timezone": "Europe/Berlin",
    "template": {"capability": "echo", "input": {"a": 1}, "max_attempts": 2},
}


async def test_a_schedule_is_made_read_listed_and_deleted(http: httpx.AsyncClient) -> None:
    made = (await http.post("/api/schedules", json=DAILY)).json()
    assert (made["overlap"], made["catch_up"], len(made["upcoming"])) == ("skip", "one", 5)
    assert made["template"]["input"] == {"a": 1}
    (listed,) = (await http.get("/api/schedules")).json()["items"]
    assert listed["id"] == made["id"]
    assert (await http.delete(f"/api/schedules/{made['id']}")).status_code == 204
    assert (await http.get(f"/api/schedules/{made['id']}")).status_code == 404


async def test_lists_are_paged(http: httpx.AsyncClient) -> None:
    for number in range(5):
        await http.post("/api/schedules", json=DAILY | {"name": str(number)})
    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await http.get("/api/schedules", params=asked)).json()
        names += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert names == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"cron": "99 * * * *"}, "cron"),
        ({"cron": None}, "cron"),
        ({"at": "2030-01-01T00:00:00Z"}, "cron"),
        ({"cron": None, "at": "2020-01-01T00:00:00Z"}, "at"),
        ({"cron": None, "at": "9999-12-31T23:59:59-14:00"}, "at"),
        ({"template": {"capability": "a", "run_at": "0001-01-01T00:00:00+14:00"}}, "run_at"),
        ({"timezone": "Nowhere"}, "timezone"),
        ({"overlap": "maybe"}, "overlap"),
        ({"template": {"input": 1}}, "capability"),
        ({"template": {"capability": "echo", "max_attempts": 0}}, "max_attempts"),
        ({"name": ""}, "name"),
    ],
)
async def test_a_mistake_is_named(
    http: httpx.AsyncClient, wrong: dict[str, Any], field: str
) -> None:
    answer = await http.post("/api/schedules", json=DAILY | wrong)
    assert answer.status_code == 422, answer.text
    assert field in answer.text


async def test_a_time_that_no_clock_shows_is_refused_in_a_change(http: httpx.AsyncClient) -> None:
    made = (await http.post("/api/schedules", json=DAILY)).json()
    change = {"at": "9999-12-31T23:59:59-14:00"}
    answer = await http.patch(f"/api/schedules/{made['id']}", json=change)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_timing")


async def test_a_name_is_used_once_by_each_person(world: Any, http: httpx.AsyncClient) -> None:
    assert (await http.post("/api/schedules", json=DAILY)).status_code == 201
    assert (await http.post("/api/schedules", json=DAILY)).json()["code"] == "schedule_name_taken"
    http.headers["authorization"] = f"Bearer {(await world.member('other')).key}"
    assert (await http.post("/api/schedules", json=DAILY)).status_code == 201


async def test_schedules_of_others_do_not_exist(world: Any, http: httpx.AsyncClient) -> None:
    made = (await http.post("/api/schedules", json=DAILY)).json()
    http.headers["authorization"] = f"Bearer {(await world.member('other')).key}"
    one = f"/api/schedules/{made['id']}"
    answers = [
        await http.get(one),
        await http.patch(one, json={"paused": True}),
        await http.delete(one),
        await http.post(f"{one}/run"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert (await http.get("/api/schedules")).json()["items"] == []


async def test_nobody_has_more_schedules_than_allowed(world: Any, http: httpx.AsyncClient) -> None:
    async with world.database.transaction() as tx:
        await tx.execute(
            """
            INSERT INTO schedules (id, user_id, name, cron, template, overlap, catch_up,
                created_at, updated_at)
            SELECT gen_random_uuid(), $1, n::text, '* * * * *', '{}', 'skip', 'one', now(), now()
            FROM generate_series(1, $2::int) AS n
            """,
            world.actor.user_id,
            world.settings.max_schedules_per_user,
        )
    answer = await http.post("/api/schedules", json=DAILY)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_schedules")


async def test_a_paused_schedule_has_no_next_time_until_it_goes_on(
    http: httpx.AsyncClient, clockwork: Any
) -> None:
    made = (await http.post("/api/schedules", json=DAILY)).json()
    one = f"/api/schedules/{made['id']}"
    paused = (await http.patch(one, json={"paused": True})).json()
    assert (paused["next_at"], paused["upcoming"]) == (None, [])
    assert await clockwork.fire() == 0
    resumed = (await http.patch(one, json={"paused": False})).json()
    assert (resumed["next_at"], resumed["paused_at"]) == (made["next_at"], None)


async def test_another_time_replaces_the_first(http: httpx.AsyncClient) -> None:
    made = (await http.post("/api/schedules", json=DAILY)).json()
    one = f"/api/schedules/{made['id']}"
    at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    once = (await http.patch(one, json={"at": at})).json()
    assert (once["cron"], once["upcoming"]) == (None, [once["next_at"]])
    again = (await http.patch(one, json={"cron": "0 7 * * *", "timezone": "UTC"})).json()
    assert (again["at"], again["timezone"]) == (None, "UTC")
    assert (await http.patch(one, json={"cron": "nonsense"})).status_code == 422
    past = await http.patch(one, json={"at": "2020-01-01T00:00:00Z"})
    assert (past.status_code, past.json()["code"]) == (422, "bad_timing")


async def test_a_schedule_runs_out_of_turn_once_for_each_key(
    http: httpx.AsyncClient, clockwork: Any
) -> None:
    made = (await http.post("/api/schedules", json=DAILY)).json()
    run, key = f"/api/schedules/{made['id']}/run", {"idempotency-key": "click"}
    first, again = [await http.post(run, headers=key) for _ in range(2)]
    assert (first.status_code, first.json()) == (202, again.json())
    assert len(await clockwork.tasks()) == 1


async def test_every_change_is_audited(world: Any, http: httpx.AsyncClient) -> None:
    made = (await http.post("/api/schedules", json=DAILY)).json()
    one = f"/api/schedules/{made['id']}"
    await http.patch(one, json={"overlap": "queue"})
    await http.post(f"{one}/run")
    await http.delete(one)
    async with world.database.transaction() as tx:
        rows = await tx.fetch("SELECT action FROM audit_log WHERE target_id = $1", made["id"])
    assert [row["action"] for row in rows] == [
        "schedule.created",
        "schedule.changed",
        "schedule.run",
        "schedule.deleted",
    ]

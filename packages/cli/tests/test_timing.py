"""Schedules, dead letters and the timing of tasks at the terminal."""

import json
import uuid

from contract_server import Answer, Api, Run

ID = str(uuid.UUID(int=7))
GROUP = "0123456789abcdef"


def test_a_task_is_submitted_for_later(api: Api, run: Run) -> None:
    api.on("POST", "/api/tasks", Answer(202, {"id": ID}))
    options = ["--delay", "5", "--deadline", "60", "--retry", '{"max_attempts": 2}']
    assert run("task", "submit", "echo", *options).code == 0
    (sent,) = api.sent("POST", "/api/tasks")
    assert sent.body["delay_seconds"] == 5
    assert sent.body["deadline_seconds"] == 60
    assert sent.body["retry"] == {"max_attempts": 2}


def test_a_schedule_is_made(api: Api, run: Run) -> None:
    api.on("POST", "/api/schedules", Answer(201, {"id": ID, "name": "daily"}))
    options = ["--cron", "0 6 * * *", "--timezone", "Europe/Berlin", "--input", '{"a": 1}']
    more = ["--task", '{"priority": "low"}', "--overlap", "queue"]
    assert run("schedule", "create", "daily", "echo", *options, *more).code == 0
    (sent,) = api.sent("POST", "/api/schedules")
    assert sent.body == {
        "name": "daily",
        "template": {"capability": "echo", "input": {"a": 1}, "priority": "low"},
        "timezone": "Europe/Berlin",
        "overlap": "queue",
        "catch_up": "one",
        "cron": "0 6 * * *",
    }


def test_a_schedule_needs_one_way_of_saying_when(run: Run, api: Api) -> None:
    assert run("schedule", "create", "daily", "echo").code == 2
    both = ["--cron", "* * * * *", "--at", "2030-01-01T00:00:00Z"]
    assert run("schedule", "create", "daily", "echo", *both).code == 2
    assert api.requests == []


def test_a_schedule_is_found_by_its_name(api: Api, run: Run) -> None:
    listed = {"items": [{"id": ID, "name": "daily"}], "next_cursor": None}
    api.on("GET", "/api/schedules", Answer(200, listed))
    api.on("POST", f"/api/schedules/{ID}/run", Answer(202, {"task_id": GROUP}))
    assert run("schedule", "run", "daily").out == f"{GROUP}\n"
    assert run("schedule", "run", ID).out == f"{GROUP}\n"
    assert run("schedule", "run", "weekly").code == 3


def test_a_large_group_is_replayed_in_parts_and_only_once_through(api: Api, run: Run) -> None:
    def part(name: str, remaining: int) -> Answer:
        return Answer(
            202, {"items": [{"task_id": ID, "replayed_as": name}], "remaining": remaining}
        )

    # The second part says that more have failed since: those are not for this call.
    api.on("POST", "/api/dead-letters/replay", part("a", 1), part("b", 5))
    shown = run("dead", "replay", GROUP)
    assert (shown.code, shown.out) == (0, "a\nb\n")


def test_what_cannot_be_replayed_now_is_named_and_the_rest_is_done(api: Api, run: Run) -> None:
    error = {"code": "task_state", "message": "Some of its children are still being stopped."}
    answer = {
        "items": [{"task_id": ID, "replayed_as": "a"}],
        "refused": [{"task_id": "b", "error": error}],
        "remaining": 1,
    }
    api.on("POST", "/api/dead-letters/replay", Answer(202, answer))
    shown = run("dead", "replay", GROUP)
    assert (shown.code, shown.out) == (1, "a\n")
    assert "b: Some of its children" in shown.err
    assert len(api.sent("POST", "/api/dead-letters/replay")) == 1, "it does not ask for ever"


def test_one_dead_letter_is_replayed_with_another_input(api: Api, run: Run) -> None:
    api.on("POST", "/api/dead-letters/replay", Answer(202, {"items": [], "remaining": 0}))
    assert run("dead", "replay", ID, "--input", '{"n": 2}').code == 0
    (sent,) = api.sent("POST", "/api/dead-letters/replay")
    assert sent.body == {"task_ids": [ID], "input": {"n": 2}}


def test_groups_are_shown_with_their_error(api: Api, run: Run) -> None:
    error = {"code": "broken", "message": "It broke."}
    group = {"fingerprint": GROUP, "count": 3, "error": error, "capability": "echo"}
    api.on("GET", "/api/dead-letters", Answer(200, {"items": [group], "next_cursor": None}))
    assert "broken" in run("dead", "list").out
    assert json.loads(run("dead", "list", "--json").out) == [group]

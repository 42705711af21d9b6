"""Queues at the terminal, and what decides about tasks in line."""

import json

import pytest
from contract_server import L1, T1, T2, U1, Answer, Api, Run

QUEUE = {
    "name": "echo",
    "waiting": 3,
    "delayed": 0,
    "limited": 1,
    "running": 2,
    "paused_at": None,
    "paused_by": None,
    "max_queued": None,
}


def test_queues_are_listed_and_paused(run: Run, api: Api) -> None:
    api.on("GET", "/api/queues", Answer(200, {"items": [QUEUE], "next_cursor": None}))
    api.on("POST", "/api/queues/echo/pause", Answer(200, QUEUE | {"paused_by": "root"}))
    assert "echo" in run("queue", "list").out
    assert "root" in run("queue", "pause", "echo").out


def test_a_queue_is_changed_and_set_back(run: Run, api: Api) -> None:
    api.on("PATCH", "/api/queues/echo", Answer(200, QUEUE))
    ran = run("queue", "set", "echo", "--max-queued", "10", "--balancing", "latency")
    assert ran.code == 0, ran.err
    assert run("queue", "set", "echo", "--max-queued", "default").code == 0
    first, second = [item.body for item in api.sent("PATCH", "/api/queues/echo")]
    assert first == {"max_queued": 10, "balancing": "latency"}
    assert second == {"max_queued": None}
    assert run("queue", "set", "echo").code == 2
    assert run("queue", "set", "echo", "--max-queued", "many").code == 2


def test_limits_are_made_from_what_was_said(run: Run, api: Api) -> None:
    users = {"items": [{"id": U1, "username": "alice"}], "next_cursor": None}
    api.on("GET", "/api/users", Answer(200, users))
    api.on("POST", "/api/limits", Answer(201, {"id": L1}))
    for arguments in (
        ("echo", "--max-running", "5"),
        ("--max-running", "2", "--user", "each"),
        ("echo", "--rate", "10/60", "--user", "alice"),
        ("echo", "--max-running", "1", "--key", "/host"),
    ):
        ran = run("queue", "limit", *arguments)
        assert (ran.code, ran.out) == (0, f"{L1}\n"), ran.err
    assert [item.body for item in api.sent("POST", "/api/limits")] == [
        {"scope": "queue", "queue": "echo", "max_running": 5},
        {"scope": "user", "max_running": 2},
        {"scope": "user", "queue": "echo", "user_id": U1, "rate": 10.0, "per_seconds": 60.0},
        {"scope": "key", "queue": "echo", "max_running": 1, "key_pointer": "/host"},
    ]
    assert run("queue", "limit", "echo", "--rate", "often").code == 2
    missing = run("queue", "limit", "echo", "--rate", "1", "--user", "bob")
    assert (missing.code, missing.err.strip()) == (3, "error: There is no user 'bob'.")


def test_without_a_bound_the_limits_are_listed(run: Run, api: Api) -> None:
    limit = {"id": L1, "scope": "queue", "queue": "echo", "max_running": 5}
    api.on("GET", "/api/limits", Answer(200, {"items": [limit], "next_cursor": None}))
    assert L1 in run("queue", "limit", "echo").out
    api.on("DELETE", f"/api/limits/{L1}", Answer(204))
    assert run("queue", "unlimit", L1).code == 0


def test_a_user_is_weighed(run: Run, api: Api) -> None:
    users = {"items": [{"id": U1, "username": "alice"}], "next_cursor": None}
    api.on("GET", "/api/users", Answer(200, users))
    api.on("PUT", f"/api/users/{U1}/weight", Answer(204))
    assert run("queue", "weight", "alice", "3").code == 0
    assert api.sent("PUT", f"/api/users/{U1}/weight")[0].body == {"weight": 3.0}


def test_why_a_task_waits_is_one_sentence(run: Run, api: Api) -> None:
    said = {"code": "all_busy", "message": "All 4 are busy.", "parameters": {"position": 3}}
    api.on("GET", f"/api/tasks/{T1}/why", Answer(200, said))
    assert run("task", "why", T1).out == "All 4 are busy. (all_busy)\n"
    assert json.loads(run("task", "why", T1, "--json").out) == said


def test_a_priority_is_changed(run: Run, api: Api) -> None:
    answer = {"id": T1, "state": "queued", "priority": "high"}
    api.on("PATCH", f"/api/tasks/{T1}", Answer(200, answer))
    assert "high" in run("task", "priority", T1, "high").out
    assert run("task", "priority", T1, "urgent").code == 2


def test_a_bulk_command_goes_on_to_the_end(run: Run, api: Api) -> None:
    first = {"matched": 500, "changed": 500, "next_cursor": "more"}
    last = {"matched": 7, "changed": 6, "next_cursor": None}
    api.on("POST", "/api/tasks/bulk", Answer(200, first), Answer(200, last))
    ran = run("task", "bulk", "cancel", "--capability", "echo", "--reason", "old", "--yes")
    assert ran.code == 0, ran.err
    assert "506" in ran.out
    bodies = [item.body for item in api.sent("POST", "/api/tasks/bulk")]
    assert [body["cursor"] for body in bodies] == [None, "more"]
    assert bodies[0]["filter"] == {"capability": "echo"}


def test_a_bulk_retry_says_what_was_left_and_why(run: Run, api: Api) -> None:
    full = {"task_id": T2, "error": {"code": "queue_full", "message": "It is full."}}
    done = {"matched": 2, "changed": 1, "next_cursor": None, "refused": [full]}
    api.on("POST", "/api/tasks/bulk", Answer(200, done))
    ran = run("task", "bulk", "retry", "--id", T1, "--id", T2, "--user", U1, "--yes")
    assert (ran.code, f"{T2}: It is full." in ran.err) == (1, True)
    (sent,) = api.sent("POST", "/api/tasks/bulk")
    assert sent.body["filter"] == {"ids": [T1, T2], "user_id": U1}


def test_a_submit_may_say_more_of_the_task(run: Run, api: Api) -> None:
    api.on("POST", "/api/tasks", Answer(202, {"id": T1}))
    more = '{"agent_id": "a1", "affinity_key": "k", "run_timeout_seconds": 9}'
    assert run("task", "submit", "echo", "--task", more).out == f"{T1}\n"
    (sent,) = api.sent("POST", "/api/tasks")
    assert (sent.body["agent_id"], sent.body["affinity_key"]) == ("a1", "k")
    assert run("task", "submit", "echo", "--task", "[1]").code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("cancel", "--yes"),
        ("priority", "--queue", "echo", "--yes"),
        ("cancel", "--queue", "echo", "--to", "high", "--yes"),
        ("cancel", "--queue", "echo"),
    ],
)
def test_a_bulk_command_that_is_wrong_asks_nothing(
    run: Run, api: Api, arguments: tuple[str, ...]
) -> None:
    assert run("task", "bulk", *arguments).code == 2
    assert api.requests == []


def test_a_full_queue_is_tried_again_after_the_time_it_asks_for(run: Run, api: Api) -> None:
    full = Answer(429, {"detail": "Full.", "code": "queue_full"}, headers={"retry-after": "0.2"})
    taken = Answer(202, {"id": T1, "state": "queued"})
    api.on("POST", "/api/tasks", full, full, taken)
    ran = run("task", "submit", "echo")
    assert (ran.code, ran.out) == (0, f"{T1}\n")
    assert ran.err.count("Full. Trying again in 0.2 s.") == 2
    keys = {item.headers["idempotency-key"] for item in api.sent("POST", "/api/tasks")}
    assert len(keys) == 1

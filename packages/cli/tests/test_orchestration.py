"""Trees, steps, cancellations and approvals at the terminal."""

import json
from pathlib import Path
from typing import Any

import pytest
from contract_server import A1, T1, T2, T3, T4, Answer, Api, Run, frame

ASKED = {
    "id": A1,
    "task_id": T1,
    "kind": "approve",
    "question": "Pay this?",
    "data": {"amount": 100},
    "data_hash": "ab" * 32,
    "state": "open",
}


def node(id: str, parent: str | None, name: str = "", **more: Any) -> dict[str, Any]:
    plain = {"capability": "work", "state": "running", "agent_name": "", "error": None}
    plain |= {"created_at": "2026-01-01T09:00:00.5Z", "finished_at": None}
    return {"id": id, "parent_id": parent, "name": name, "detached": False, **plain, **more}


def test_a_tree_is_drawn_below_its_top(api: Api, run: Run) -> None:
    nodes = [
        node(T1, None, state="waiting"),
        node(T2, T1, "a"),
        node(T3, T1, "b", detached=True),
        node(T4, T2, "c", state="failed", error={"code": "broken", "message": "no"})
        | {"finished_at": "2026-01-01T09:00:02.75Z"},
    ]
    api.on("GET", f"/api/tasks/{T1}/tree", Answer(body={"items": nodes, "next_cursor": None}))
    assert run("task", "tree", T1).out.splitlines() == [
        f"work waiting since 09:00:00 UTC  {T1}",
        f"├─ a: work running since 09:00:00 UTC  {T2}",
        f"│  └─ c: work failed (broken) in 2.2 s  {T4}",
        f"└─ b: work running since 09:00:00 UTC, detached  {T3}",
    ]


def test_what_agents_write_moves_no_cursor_and_turns_no_text_around(api: Api, run: Run) -> None:
    question = "Delete everything\x1b[2K\x1b[1A\x9b2KRead one file?"
    asked = {**ASKED, "question": question, "data": {"to": "a\u202eb"}}
    api.on("GET", f"/api/approvals/{A1}", Answer(body=asked))
    api.on("POST", f"/api/approvals/{A1}/answer", Answer(body={**asked, "state": "approved"}))
    shown = [
        run("approvals", "approve", A1, "--yes"),
        run("approvals", "get", A1),
        run("approvals", "get", A1, "--json"),
    ]
    for ran in shown:
        assert not {"\x1b", "\x9b", "\u202e"} & {*ran.out, *ran.err}
    assert "\\u001b[2K" in shown[0].err
    assert json.loads(shown[2].out) == asked


def test_steps_and_the_record_of_a_cancel_are_lists(api: Api, run: Run) -> None:
    step = {"name": "pay", "kind": "effect", "settled_at": "now", "output": 1, "error": None}
    api.on("GET", f"/api/tasks/{T1}/steps", Answer(body={"items": [step], "next_cursor": None}))
    assert run("task", "steps", T1).out == "pay\teffect\tnow\t1\t-\n"
    record = {"requested_at": "then", "requested_by": "ann", "reason": "", "is_complete": True}
    record |= {"tasks": 2, "stopping": 0}
    fenced = {"id": T1, "how": "fenced", "ran_on_seconds": 5.04, "after_fence": "unknown"}
    pages = [
        Answer(body={**record, "items": [fenced], "next_cursor": "x"}),
        Answer(body={**record, "items": [{"id": T2, "how": "stopping"}], "next_cursor": None}),
    ]
    api.on("GET", f"/api/tasks/{T1}/cancellation", *pages)
    shown = run("task", "cancellation", T1).out
    assert "requested_by  ann" in shown
    assert "fenced\tat least 5.0\tunknown" in shown
    assert "stopping" in shown.splitlines()[-1]


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        ({}, "7.2\t-"),
        ({"after_fence": "stopped", "stopped_at": "noon"}, "7.2\tits agent said at noon"),
        ({"after_fence": "heard", "last_heard_at": "one"}, "at least 7.2\tstill heard of at one"),
    ],
)
def test_what_ran_on_after_a_cancel_is_told_in_words(
    api: Api, run: Run, known: dict[str, str], shown: str
) -> None:
    record = {"requested_at": "then", "requested_by": "ann", "reason": "", "is_complete": True}
    record |= {"tasks": 1, "stopping": 0, "next_cursor": None}
    item = {"id": T1, "how": "fenced", "ran_on_seconds": 7.21, **known}
    api.on("GET", f"/api/tasks/{T1}/cancellation", Answer(body={**record, "items": [item]}))
    assert shown in run("task", "cancellation", T1).out


def test_an_approval_is_bound_to_what_was_shown(api: Api, run: Run) -> None:
    api.on("GET", f"/api/approvals/{A1}", Answer(body=ASKED))
    api.on("POST", f"/api/approvals/{A1}/answer", Answer(body={**ASKED, "state": "approved"}))
    ran = run("approvals", "approve", A1, "--yes", "--comment", "go")
    assert (ran.code, ran.out) == (0, f"id     {A1}\nstate  approved\n")
    assert "Pay this?" in ran.err
    assert '"amount": 100' in ran.err
    (sent,) = api.sent("POST", f"/api/approvals/{A1}/answer")
    assert sent.body == {"decision": "approve", "comment": "go", "data_hash": ASKED["data_hash"]}


def test_a_program_names_the_hash_that_it_has_seen(api: Api, run: Run) -> None:
    api.on("POST", f"/api/approvals/{A1}/answer", Answer(body={**ASKED, "state": "rejected"}))
    assert run("approvals", "reject", A1, "--hash", "cd" * 32).code == 0
    assert not api.sent("GET", f"/api/approvals/{A1}")
    (sent,) = api.sent("POST", f"/api/approvals/{A1}/answer")
    assert (sent.body["decision"], sent.body["data_hash"]) == ("reject", "cd" * 32)


def test_without_a_terminal_nothing_is_approved_unseen(api: Api, run: Run) -> None:
    api.on("GET", f"/api/approvals/{A1}", Answer(body=ASKED))
    ran = run("approvals", "approve", A1)
    assert (ran.code, "--yes" in ran.err) == (2, True)
    assert not api.sent("POST", f"/api/approvals/{A1}/answer")


def test_a_question_wants_words(api: Api, run: Run) -> None:
    api.on("GET", f"/api/approvals/{A1}", Answer(body={**ASKED, "kind": "ask"}))
    assert run("approvals", "approve", A1, "--yes").code == 2
    api.on("POST", f"/api/approvals/{A1}/answer", Answer(body={**ASKED, "state": "answered"}))
    assert run("approvals", "answer", A1, "blue", "--yes").code == 0
    (sent,) = api.sent("POST", f"/api/approvals/{A1}/answer")
    assert sent.body["answer"] == "blue"


def test_a_workflow_is_applied_from_a_file_and_run(api: Api, run: Run, tmp_path: Path) -> None:
    spec = {"nodes": {"a": {"capability": "echo"}}}
    (tmp_path / "news.json").write_text(json.dumps(spec))
    made = {"name": "news", "version": 2, "spec": spec, "created_at": "now"}
    api.on("POST", "/api/workflows", Answer(201, body=made))
    assert run("workflow", "apply", "news", "@news.json").out == "name     news\nversion  2\n"
    assert api.sent("POST", "/api/workflows")[0].body == {"name": "news", "spec": spec}
    listed = {"user_id": "u1", "name": "news", "version": 2, "created_at": "now"}
    api.on("GET", "/api/workflows", Answer(body={"items": [listed], "next_cursor": None}))
    assert run("workflow", "list").out == "news\t2\tnow\n"
    started = {"task_id": T1, "name": "news", "version": 2, "state": "waiting"}
    api.on("POST", "/api/workflows/news/runs", Answer(202, body=started))
    assert run("workflow", "run", "news", "--input", "{}").out == f"{T1}\n"
    end = {"state": "succeeded", "result": {"a": 1}, "error": None, "usage": None}
    api.on("GET", f"/api/tasks/{T1}/events", Answer(frames=[frame("task.finished", end, "3:0")]))
    assert run("workflow", "run", "news", "--follow").out == '{"a": 1}\n'
    assert api.sent("POST", "/api/workflows/news/runs")[0].headers["idempotency-key"]


def test_a_failed_run_is_replayed(api: Api, run: Run) -> None:
    again = {"task_id": T2, "name": "news", "version": 2, "state": "waiting"}
    url = f"/api/workflows/news/runs/{T1}/replay"
    api.on("POST", url, Answer(202, body={**again, "replay_of": T1, "kept": ["a"]}))
    assert run("workflow", "replay", "news", T1).out == f"{T2}\n"
    end = {"state": "succeeded", "result": 1, "error": None, "usage": None}
    api.on("GET", f"/api/tasks/{T2}/events", Answer(frames=[frame("task.finished", end, "3:0")]))
    assert run("workflow", "replay", "news", T1, "--follow").out == "1\n"
    api.on("POST", url, Answer(409, body={"code": "task_state", "detail": "It has succeeded."}))
    refused = run("workflow", "replay", "news", T1)
    assert (refused.code, "It has succeeded." in refused.err) == (1, True)

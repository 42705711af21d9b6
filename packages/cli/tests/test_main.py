"""The command line as a whole: help, exit codes, where messages go, which instance is meant."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from contract_server import KEY, Answer, Api, Run
from orchestra_cli import host, main

TASKS = {"items": [{"id": "t1", "capability": "echo", "state": "queued"}], "next_cursor": None}


def test_help_names_every_command_and_the_exit_codes(run: Run) -> None:
    ran = run("--help")
    assert ran.code == 0
    for name in (*main.COMMANDS, *host.ABOUT):
        assert f"  {name} " in ran.out
    assert "130 interrupted" in ran.out


def test_help_imports_neither_the_server_nor_an_http_client() -> None:
    program = (
        "import sys; from orchestra_cli import main; main.run(['--help']);"
        "print([m for m in ('httpx', 'rich', 'grpc', 'orchestra', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=15, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", list(main.COMMANDS))
def test_every_command_explains_itself(run: Run, name: str) -> None:
    ran = run(name, "--help")
    assert ran.code == 0
    assert main.COMMANDS[name].about.split(".")[0].split()[0] in ran.out or "Ask" in ran.out


def test_completion_knows_the_commands_inside_a_group() -> None:
    environment = {
        **os.environ,
        "_ORCHESTRA_COMPLETE": "complete_bash",
        "COMP_WORDS": "orchestra task s",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from orchestra_cli.main import main; main()"],
        capture_output=True,
        text=True,
        timeout=15,
        env=environment,
        check=False,
    )
    assert "submit" in done.stdout.split()


def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    ran = run("tasks")
    assert (ran.code, ran.out) == (2, "")


@pytest.mark.parametrize(
    ("status", "code"), [(404, 3), (401, 4), (403, 4), (409, 1), (422, 1), (503, 5)]
)
def test_the_exit_code_says_what_kind_of_failure_it_was(
    api: Api, run: Run, status: int, code: int
) -> None:
    api.on("GET", "/api/keys", Answer(status, {"detail": "Because of this."}))
    ran = run("keys", "list")
    assert (ran.code, ran.out) == (code, "")
    assert "Because of this." in ran.err


def test_mistakes_in_fields_are_named(api: Api, run: Run) -> None:
    problem = {"detail": "The request is not valid.", "errors": [{"field": "a.b", "message": "no"}]}
    api.on("POST", "/api/keys", Answer(422, problem))
    assert "a.b: no" in run("keys", "create", "ci", "--scope", "x").err


def test_an_instance_that_does_not_answer_is_unavailable(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRA_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ORCHESTRA_API_KEY", KEY)
    ran = run("task", "submit", "echo", "--count", "2")
    assert ran.code == 5
    assert "127.0.0.1:9" in ran.err


def test_no_instance_at_all_says_how_to_get_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORCHESTRA_URL", raising=False)
    ran = run("agents", "list")
    assert ran.code == 5
    assert "orchestra up" in ran.err


def test_a_remote_instance_asks_for_a_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRA_URL", "https://example.com")
    monkeypatch.delenv("ORCHESTRA_API_KEY", raising=False)
    ran = run("agents", "list")
    assert ran.code == 4
    assert "ORCHESTRA_API_KEY" in ran.err


def _local_instance(directory: Path, url: str) -> None:
    (directory / "keys").mkdir(parents=True)
    (directory / "keys" / "local.key").write_text(f"{KEY}\n")
    (directory / "runtime.json").write_text(json.dumps({"url": url, "state": "ready"}))


def test_the_instance_of_a_directory_above_is_found(
    api: Api, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ORCHESTRA_URL")
    monkeypatch.delenv("ORCHESTRA_API_KEY")
    _local_instance(tmp_path / ".orchestra", api.url)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    api.on("GET", "/api/tasks", Answer(body=TASKS))
    assert run("task", "list").out.startswith("t1\techo\tqueued")


def test_a_data_directory_on_the_command_line_wins_over_the_environment(
    api: Api, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ORCHESTRA_URL", "http://127.0.0.1:9")
    _local_instance(tmp_path / "here", api.url)
    api.on("GET", "/api/tasks", Answer(body=TASKS))
    assert run("task", "list", "--data-dir", str(tmp_path / "here")).code == 0


def test_lists_are_read_page_by_page_and_printed_as_json(api: Api, run: Run) -> None:
    first = {"items": [{"id": "t1"}], "next_cursor": "n"}
    api.on("GET", "/api/tasks", Answer(body=first), Answer(body=TASKS))
    ran = run("task", "list", "--json")
    assert [item["id"] for item in json.loads(ran.out)] == ["t1", "t1"]


def test_a_secret_is_read_from_standard_input_and_never_from_the_command_line(
    api: Api, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    api.on("POST", "/api/users", Answer(201, {"id": "u1", "username": "ada"}))
    (tmp_path / "password").write_text("correct horse\n")
    with (tmp_path / "password").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert run("users", "create", "ada", "--password-stdin").code == 0
    assert api.sent("POST", "/api/users")[0].body["password"] == "correct horse"


def test_nothing_is_asked_where_nobody_can_answer(api: Api, run: Run) -> None:
    assert run("providers", "add", "openai").code == 2
    assert run("keys", "revoke", "k1").code == 2
    assert api.requests == []


def test_somebody_who_is_invited_gets_a_link(api: Api, run: Run) -> None:
    user = {"id": "u1", "username": "ada", "role": "member", "link_token": "secret"}
    api.on("POST", "/api/users", Answer(201, user))
    ran = run("users", "create", "ada", "--role", "member")
    assert ran.out == f"{api.url}/setup#token=secret\n"


def test_a_broken_audit_log_fails_the_command_and_names_the_entry(api: Api, run: Run) -> None:
    api.on("GET", "/api/audit/verify", Answer(body={"intact": False, "first_bad_id": 7}))
    ran = run("audit", "verify")
    assert ran.code == 1
    assert "Entry 7" in ran.err


def test_the_audit_log_shows_names(api: Api, run: Run) -> None:
    entry = {"at": "now", "actor": {"name": "ada"}, "action": "key.created", "target": None} | {
        "details": {"name": "ci", "scopes": ["a", "b"], "text": "x" * 300}
    }
    api.on("GET", "/api/audit", Answer(body={"items": [entry], "next_cursor": None}))
    shown = run("audit", "list").out
    assert shown.startswith("now\tada\tkey.created\t-")
    assert '\tname=ci, scopes=["a", "b"], text=xxx' in shown
    assert shown.endswith("x…\n")
    assert json.loads(run("audit", "list", "--json").out) == [entry]


def test_a_role_is_changed_by_user_name(api: Api, run: Run) -> None:
    users = {"items": [{"id": "u1", "username": "ada"}], "next_cursor": None}
    api.on("GET", "/api/users", Answer(body=users))
    api.on("PATCH", "/api/users/u1", Answer(body={"id": "u1", "username": "ada", "role": "admin"}))
    assert run("users", "set-role", "ada", "admin").code == 0
    assert api.sent("PATCH", "/api/users/u1")[0].body == {"role": "admin"}
    assert run("users", "set-role", "bob", "admin").code == 3


def test_a_host_command_says_where_it_comes_from_when_the_server_is_absent(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(_name: str) -> None:
        return None

    monkeypatch.setattr(host, "find", find)
    ran = run("up")
    assert ran.code == 2
    assert "ai-orchestra" in ran.err


@pytest.mark.parametrize("name", ["../tasks?limit=1", "?", "", "..", "%2e%2e"])
def test_a_name_leads_nowhere_else(api: Api, run: Run, name: str) -> None:
    ran = run("queue", "get", name)
    assert (ran.code, "no name or id" in ran.err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ["task", "submit", "echo", "--input", "NaN"],
        ["task", "submit", "echo", "--input", "1", "--retry", "[NaN]"],
        ["task", "submit", "echo", "--input", "1", "--deadline", "inf"],
        ["queue", "set", "echo", "--keep-days", "nan"],
        ["schedule", "create", "x", "echo", "--at", "2030-01-01T00:00:00Z", "--task", "[1]"],
        ["dead", "replay", "0123456789abcdef", "fedcba9876543210"],
    ],
)
def test_what_makes_no_sense_is_said_and_not_sent(api: Api, run: Run, words: list[str]) -> None:
    ran = run(*words)
    assert ran.code == 2, ran.err
    assert "Traceback" not in ran.err
    assert ran.err.startswith("error: ")


def test_no_agent_that_matches_is_no_success(api: Api, run: Run) -> None:
    api.on("GET", "/api/agents", Answer(body={"items": [], "next_cursor": None}))
    ran = run("agents", "drain", "--version", "typo", "--wait")
    assert (ran.code, "No agent matches" in ran.err) == (3, True)


def test_a_drain_goes_on_beside_agents_that_are_others(api: Api, run: Run) -> None:
    plain = {"status": "online", "slots_in_use": 0}
    agents = [{"id": "a1", "name": "theirs", **plain}, {"id": "a2", "name": "mine", **plain}]
    api.on("GET", "/api/agents", Answer(body={"items": agents, "next_cursor": None}))
    no = {"title": "Forbidden", "status": 403, "detail": "Only its owner.", "code": "forbidden"}
    api.on("POST", "/api/agents/a1/drain", Answer(403, body=no))
    api.on("POST", "/api/agents/a2/drain", Answer(body={**agents[1], "status": "draining"}))
    ran = run("agents", "drain", "--capability", "work")
    assert (ran.code, "theirs: Only its owner." in ran.err) == (0, True)
    assert ran.out.split() == ["a2", "mine", "draining", "0"]

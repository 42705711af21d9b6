"""Deciding about agents: by id, by name, by version; waiting until they have nothing left."""

from typing import Any

from contract_server import Answer, Api, Run

ID = "0190a0a0-0000-7000-8000-000000000001"


def agent(**more: Any) -> dict[str, Any]:
    return {"id": ID, "name": "worker", "status": "online", "slots_in_use": 0, **more}


def page(*agents: dict[str, Any]) -> Answer:
    return Answer(body={"items": list(agents), "next_cursor": None})


def test_an_agent_is_drained_by_its_name(api: Api, run: Run) -> None:
    api.on("GET", "/api/agents", page(agent()))
    api.on("POST", f"/api/agents/{ID}/drain", Answer(body=agent(status="draining")))
    ran = run("agents", "drain", "worker", "--reason", "new version")
    assert ran.code == 0, ran.err
    assert ran.out == f"{ID}\tworker\tdraining\t0\n"
    (sent,) = api.sent("POST", f"/api/agents/{ID}/drain")
    assert sent.body == {"reason": "new version"}


def test_drain_waits_until_nothing_is_left(api: Api, run: Run) -> None:
    api.on("POST", f"/api/agents/{ID}/drain", Answer(body=agent()))
    api.on(
        "GET",
        f"/api/agents/{ID}",
        Answer(body=agent()),
        Answer(body=agent()),  # has not heard of it
        Answer(body=agent(status="draining", slots_in_use=1)),
        Answer(body=agent(status="draining")),
    )
    assert run("agents", "drain", ID, "--wait").code == 0
    assert len(api.sent("GET", f"/api/agents/{ID}")) == 4


def test_who_is_drained_has_to_be_said(api: Api, run: Run) -> None:
    assert run("agents", "drain").code == 2
    assert run("agents", "drain", "worker", "--version", "1").code == 2


def test_an_ambiguous_or_unknown_name_decides_nothing(api: Api, run: Run) -> None:
    api.on("GET", "/api/agents", page(agent(), agent(id="other")), page())
    assert run("agents", "release", "worker").code == 1
    assert run("agents", "release", "worker").code == 3


def test_quarantine_says_why(api: Api, run: Run) -> None:
    api.on("GET", f"/api/agents/{ID}", Answer(body=agent()))
    api.on("POST", f"/api/agents/{ID}/quarantine", Answer(body=agent(status="quarantined")))
    assert run("agents", "quarantine", ID).code == 2
    ran = run("agents", "quarantine", ID, "--reason", "odd answers", "--seconds", "60")
    assert ran.code == 0, ran.err
    (sent,) = api.sent("POST", f"/api/agents/{ID}/quarantine")
    assert sent.body == {"reason": "odd answers", "seconds": 60}


def test_an_agent_is_shared_and_unshared(api: Api, run: Run) -> None:
    api.on("GET", "/api/agents", page(agent()), page(agent()))
    for what in ("share", "unshare"):
        api.on("POST", f"/api/agents/{ID}/{what}", Answer(body=agent()))
        assert run("agents", what, "worker").code == 0
        assert len(api.sent("POST", f"/api/agents/{ID}/{what}")) == 1

"""Blobs at the terminal: what is stored, what keeps it, and deleting it."""

import json

from contract_server import Answer, Api, Run

BLOB = "ab" * 32
ITEM = {
    "blob": BLOB,
    "size": 5_000_000,
    "media_type": "application/pdf",
    "created_at": "2026-11-22T10:00:00Z",
    "owner": "mia",
    "in_use": False,
    "kept_until": "2026-11-23T10:00:00Z",
    "store": "s3",
}
LIST, ONE = "/api/blobs", f"/api/blobs/{BLOB}"


def test_blobs_are_listed_page_by_page(api: Api, run: Run) -> None:
    first, last = {"items": [ITEM], "next_cursor": "c"}, {"items": [ITEM], "next_cursor": None}
    api.on("GET", LIST, Answer(200, first), Answer(200, last))
    ran = run("blob", "list")
    assert ran.code == 0, ran.err
    lines = [line.split("\t")[:2] for line in ran.out.splitlines()]
    assert lines == [[BLOB, "5000000"]] * 2


def test_administrators_list_the_blobs_of_everybody(api: Api, run: Run) -> None:
    api.on("GET", LIST, Answer(200, {"items": [ITEM]}))
    ran = run("blob", "list", "--all", "--limit", "5")
    assert (ran.code, "mia" in ran.out) == (0, True), ran.err


def test_a_blob_is_described(api: Api, run: Run) -> None:
    api.on("GET", f"{ONE}/metadata", Answer(200, {**ITEM, "tasks": ["t1"]}))
    ran = run("blob", "show", BLOB, "--json")
    assert json.loads(ran.out)["tasks"] == ["t1"]


def test_a_blob_is_deleted_when_that_is_confirmed(api: Api, run: Run) -> None:
    api.on("DELETE", ONE, Answer(204))
    assert run("blob", "delete", BLOB).code == 2
    assert api.sent("DELETE", ONE) == []
    assert run("blob", "delete", BLOB, "--yes").code == 0
    assert len(api.sent("DELETE", ONE)) == 1


def test_a_blob_in_use_is_not_deleted(api: Api, run: Run) -> None:
    problem = {"code": "blob_in_use", "detail": "The task t1 refers to this blob."}
    api.on("DELETE", ONE, Answer(409, problem))
    ran = run("blob", "delete", BLOB, "--yes")
    assert (ran.code != 0, "The task t1 refers" in ran.err) == (True, True)

"""Declared workflows from end to end: versions, runs, failures, cancelling, whose they are."""

from typing import Any

import pytest
from orchestra.features.workflows.service import running
from workflow_runs import PIPELINE, declare, start

pytestmark = pytest.mark.anyio


async def test_a_run_goes_from_node_to_node_and_ends_with_its_output(
    world: Any, wire: Any, http: Any
) -> None:
    assert (await declare(http)).status_code == 201
    async with wire(await world.plane()) as agent:
        await agent.connect()
        run = await start(http, {"url": "u"}, priority="high")
        assert (run["state"], run["version"]) == ("waiting", 1)
        first = await agent.assigned()
        assert agent.assignment(first).input.string_value == "u"
        assert agent.assignment(first).parent_id == run["task_id"]
        await agent.say(first, agent.result(1, "page"))
        both = [await agent.assigned(), await agent.assigned()]
        assert {message.priority for message in both} == {2, 0}
        for message in both:
            await agent.say(message, agent.result(1, "done"))
        done = await world.state(run["task_id"], "succeeded")
    assert done.result == {"both": ["done", "done"]}
    tree = (await http.get(f"/api/tasks/{run['task_id']}/tree")).json()["items"]
    assert sorted(node["name"] for node in tree) == ["", "fetch", "left", "right"]
    shown = (await http.get("/api/workflows/news/runs")).json()["items"]
    assert [(item["task_id"], item["state"]) for item in shown] == [(run["task_id"], "succeeded")]


async def test_a_run_finishes_on_the_version_on_which_it_began(
    world: Any, wire: Any, http: Any
) -> None:
    await declare(http)
    assert (await declare(http)).status_code == 200, "the same again is no new version"
    async with wire(await world.plane()) as agent:
        await agent.connect()
        old = await start(http, {"url": "u"})
        changed = {"nodes": {"only": {"capability": "echo"}}}
        assert (await declare(http, changed)).json()["version"] == 2
        assert (await start(http, None))["version"] == 2
        assert (await start(http, {"url": "x"}, version=1))["version"] == 1
        for _ in range(7):
            await agent.say(await agent.assigned(), agent.result(1, "x"))
        done = await world.state(old["task_id"], "succeeded")
    assert done.result == {"both": ["x", "x"]}
    listed = (await http.get("/api/workflows")).json()["items"]
    assert [(item["name"], item["version"]) for item in listed] == [("news", 2)]
    assert set(listed[0]) == {"user_id", "name", "version", "created_at"}, "not all it declares"
    first = (await http.get("/api/workflows/news", params={"version": 1})).json()
    assert first["spec"] == PIPELINE


async def test_a_failed_node_fails_the_run_and_stops_the_others(
    world: Any, wire: Any, http: Any
) -> None:
    await declare(http, {"nodes": {"a": {"capability": "echo"}, "b": {"capability": "other"}}})
    async with wire(await world.plane()) as agent:
        await agent.connect()
        run = await start(http, None)
        await agent.say(await agent.assigned(), agent.failure(1, "broken", retryable=False))
        failed = await world.state(run["task_id"], "failed")
        assert (failed.error.code, "'a' failed" in failed.error.message) == ("broken", True)
        tree = (await http.get(f"/api/tasks/{run['task_id']}/tree")).json()["items"]
        (other,) = [node["id"] for node in tree if node["name"] == "b"]
        await world.state(other, "cancelled")


async def test_a_cancelled_run_begins_nothing_more(world: Any, wire: Any, http: Any) -> None:
    await declare(http)
    async with wire(await world.plane()) as agent:
        await agent.connect()
        run = await start(http, {"url": "u"})
        fetch = await agent.assigned()
        stopped = await http.post(f"/api/tasks/{run['task_id']}/cancel")
        assert stopped.json()["state"] == "cancelling"
        await agent.say(fetch, agent.result(1, "after all"))
        await world.state(run["task_id"], "cancelled")
        tree = (await http.get(f"/api/tasks/{run['task_id']}/tree")).json()["items"]
        assert len(tree) == 2


async def test_the_same_key_is_the_same_run(http: Any) -> None:
    await declare(http)
    key = {"idempotency-key": "click"}
    body = {"input": {"url": "u"}}
    url = "/api/workflows/news/runs"
    first = await http.post(url, json=body, headers=key)
    again = await http.post(url, json=body, headers=key)
    other = await http.post(url, json={"input": 2}, headers=key)
    assert first.json() == again.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    await declare(http, {"nodes": {"a": {"capability": "echo"}}})
    newer = await http.post(url, json=body | {"version": 2}, headers=key)
    assert (newer.status_code, newer.json()["code"]) == (422, "bad_workflow")
    assert "version 1" in newer.json()["detail"]


async def test_a_workflow_may_be_named_like_what_its_node_does(
    world: Any, wire: Any, http: Any
) -> None:
    await declare(http, {"nodes": {"a": {"capability": "echo", "input": {"$input": ""}}}}, "echo")
    async with wire(await world.plane()) as agent:
        await agent.connect()
        run = await start(http, {"url": "u"}, name="echo")
        await agent.say(await agent.assigned(), agent.result(1, "done"))
        await world.state(run["task_id"], "succeeded")


async def test_a_run_that_cannot_be_taken_on_ends_and_says_so(
    http: Any, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RecursionError("nobody has thought of this")

    monkeypatch.setattr(running, "plan", fail)
    await declare(http)
    run = await start(http, {"url": "u"})
    failed = await world.state(run["task_id"], "failed")
    assert failed.error.code == "workflow_error"


async def test_what_cannot_begin_fails_the_run_at_once(world: Any, http: Any) -> None:
    await declare(http)
    run = await start(http, {"no": "url"})
    failed = await world.state(run["task_id"], "failed")
    assert failed.error.code == "missing_value"
    assert "'fetch'" in failed.error.message


async def test_a_node_that_cannot_be_a_task_is_named(world: Any, http: Any) -> None:
    thrice = {"capability": "echo", "input": [{"$input": ""}] * 3}
    await declare(http, {"nodes": {"small": {"capability": "echo"}, "large": thrice}})
    run = await start(http, "x" * 500_000)
    failed = await world.state(run["task_id"], "failed")
    assert failed.error.message.startswith("The child 'large': ")


async def test_a_version_that_there_is_not_is_no_missing_workflow(http: Any) -> None:
    await declare(http)
    missing = await http.get("/api/workflows/news", params={"version": 99})
    assert (missing.status_code, missing.json()["code"]) == (404, "workflow_version_not_found")
    assert missing.json()["detail"] == "news has no version 99; the newest is 1."
    run = await http.post("/api/workflows/news/runs", json={"input": 1, "version": 99})
    assert run.json()["code"] == "workflow_version_not_found"
    nobody = await http.get("/api/workflows/olds", params={"version": 1})
    assert nobody.json()["code"] == "workflow_not_found"


async def test_workflows_are_their_owners_own(world: Any, doors: Any, http: Any) -> None:
    await declare(http)
    async with doors((await world.member("eve")).key) as stranger:
        assert (await stranger.get("/api/workflows")).json()["items"] == []
        for path in ("", "/runs"):
            assert (await stranger.get(f"/api/workflows/news{path}")).status_code == 404
        run = await stranger.post("/api/workflows/news/runs", json={"input": 1})
        assert run.status_code == 404
        assert (await declare(stranger)).json()["version"] == 1, "names are everybody's own"


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "spec": {"nodes": {}}},
        {"name": "x", "spec": {"nodes": {"a": {"capability": "echo", "unknown": 1}}}},
        {"name": "no name", "spec": PIPELINE},
        {"name": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "spec": PIPELINE},
        {"spec": PIPELINE},
    ],
)
async def test_a_bad_declaration_is_refused(http: Any, body: Any) -> None:
    answer = await http.post("/api/workflows", json=body)
    assert answer.status_code == 422, answer.text


async def test_lists_are_paged(http: Any) -> None:
    for name in ("a", "b", "c"):
        await declare(http, name=name)
    first = (await http.get("/api/workflows", params={"limit": 2})).json()
    rest = (await http.get("/api/workflows", params={"cursor": first["next_cursor"]})).json()
    assert [item["name"] for item in first["items"] + rest["items"]] == ["a", "b", "c"]
    for _ in range(3):
        await start(http, {"url": "u"}, name="a")
    page = (await http.get("/api/workflows/a/runs", params={"limit": 2})).json()
    more = {"cursor": page["next_cursor"]}
    last = (await http.get("/api/workflows/a/runs", params=more)).json()
    assert (len(page["items"]), len(last["items"]), last["next_cursor"]) == (2, 1, None)
    for version in ("0", str(2**31), "x"):
        wrong = await http.get("/api/workflows/a", params={"version": version})
        assert wrong.status_code in (400, 422)

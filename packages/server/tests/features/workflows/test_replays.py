"""Runs that have failed are done again, from where they failed."""

from typing import Any

import pytest
from workflow_runs import declare, start

pytestmark = pytest.mark.anyio

CHAIN = {
    "nodes": {
        "plan": {"capability": "echo", "input": "plan"},
        "maybe": {"capability": "echo", "input": "maybe", "optional": True},
        "work": {"capability": "echo", "input": [{"$node": "plan"}, {"$node": "maybe"}]},
        "beside": {"capability": "other"},
        "report": {"capability": "echo", "input": {"$node": "work"}, "needs": ["beside"]},
    },
    "output": {"report": {"$node": "report"}, "plan": {"$node": "plan"}},
}


async def fail_a_run(world: Any, agent: Any, http: Any) -> str:
    """In which `plan` is done, `maybe` has failed and may, and `work` has failed."""
    await declare(http, CHAIN)
    run_id: str = (await start(http, None))["task_id"]
    for _ in range(2):
        node = await agent.assigned()
        if agent.assignment(node).input.string_value == "plan":
            await agent.say(node, agent.result(1, "the plan"))
        else:
            await agent.say(node, agent.failure(1, "no", retryable=False))
    await agent.say(await agent.assigned(), agent.failure(1, "broken", retryable=False))
    await world.state(run_id, "failed")
    return run_id


async def replay(world: Any, http: Any, run_id: str, name: str = "news") -> Any:
    """As soon as the nodes of the failed run have been stopped."""
    url = f"/api/workflows/{name}/runs/{run_id}/replay"

    async def ask() -> Any:
        answer = await http.post(url)
        is_early = answer.status_code == 409 and "still being stopped" in answer.text
        return None if is_early else answer

    return await world.eventually(ask)


async def test_a_replay_keeps_what_was_done_and_does_the_rest(
    world: Any, wire: Any, http: Any
) -> None:
    plane = await world.plane()
    async with wire(plane) as agent, wire(plane, name="helper", capabilities=("other",)) as helper:
        await agent.connect()
        run_id = await fail_a_run(world, agent, http)
        answer = await replay(world, http, run_id)
        assert answer.status_code == 202, answer.text
        again = answer.json()
        assert (again["replay_of"], again["version"], again["state"]) == (run_id, 1, "waiting")
        assert sorted(again["kept"]) == ["maybe", "plan"]
        assert (await replay(world, http, run_id)).json() == again, "one run has one replay"
        work = await agent.assigned()
        given = agent.assignment(work).input.list_value.values
        assert (given[0].string_value, given[1].WhichOneof("kind")) == ("the plan", "null_value")
        await agent.say(work, agent.result(1, "the work"))
        await helper.connect()
        await helper.say(await helper.assigned(), helper.result(1))
        report = await agent.assigned()
        assert agent.assignment(report).input.string_value == "the work"
        await agent.say(report, agent.result(1, "the report"))
        done = await world.state(again["task_id"], "succeeded", "failed")
        assert done.result == {"report": "the report", "plan": "the plan"}
        assert done.replay_of == (await world.task(run_id)).id
        refused = await replay(world, http, again["task_id"])
        assert (refused.status_code, refused.json()["code"]) == (409, "task_state")
    steps = (await http.get(f"/api/tasks/{again['task_id']}/steps")).json()["items"]
    assert {step["name"] for step in steps} == {"plan", "maybe", "work", "beside", "report"}
    tree = (await http.get(f"/api/tasks/{again['task_id']}/tree")).json()["items"]
    assert sorted(node["name"] for node in tree) == ["", "beside", "report", "work"]


async def test_a_replay_of_a_replay_keeps_what_both_have_done(
    world: Any, wire: Any, http: Any
) -> None:
    await declare(http, {"nodes": {
        "a": {"capability": "echo"},
        "b": {"capability": "echo", "needs": ["a"]},
        "c": {"capability": "echo", "needs": ["b"]},
    }})  # fmt: skip
    async with wire(await world.plane()) as agent:
        await agent.connect()
        run_id = (await start(http, None))["task_id"]
        for done in (["a"], ["a", "b"]):
            await agent.say(await agent.assigned(), agent.result(1, done[-1]))
            await agent.say(await agent.assigned(), agent.failure(1, "no", retryable=False))
            await world.state(run_id, "failed")
            again = (await replay(world, http, run_id)).json()
            assert sorted(again["kept"]) == done
            run_id = again["task_id"]
        await agent.say(await agent.assigned(), agent.result(1, "c"))
        done = await world.state(run_id, "succeeded")
    assert done.result == {"a": "a", "b": "b", "c": "c"}


async def test_a_run_among_the_dead_letters_is_done_again_as_a_run(
    world: Any, wire: Any, http: Any
) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        run_id = await fail_a_run(world, agent, http)

        async def again() -> Any:
            answer = await http.post("/api/dead-letters/replay", json={"task_ids": [run_id]})
            return None if answer.status_code == 409 else answer.json()["items"]

        (pair,) = await world.eventually(again)
        assert pair["task_id"] == run_id
        work = await agent.assigned()
        assert agent.assignment(work).parent_id == pair["replayed_as"]
        fresh = await world.task(pair["replayed_as"])
        assert (fresh.state, fresh.attempt) == ("waiting", 0)
        await agent.say(work, agent.failure(1, "broken", retryable=False))
        await world.state(fresh.id, "failed")
        edited = {"task_ids": [str(fresh.id)], "input": {"other": 1}}
        answer = await http.post("/api/dead-letters/replay", json=edited)
        (pair,) = answer.json()["items"]
        assert agent.assignment(await agent.assigned()).parent_id == pair["replayed_as"]


async def test_of_a_group_those_runs_are_done_again_whose_nodes_have_stopped(
    world: Any, wire: Any, http: Any
) -> None:
    await declare(http, {"nodes": {"a": {"capability": "echo"}, "b": {"capability": "other"}}})
    plane = await world.plane()
    async with wire(plane) as agent, wire(plane, name="helper", capabilities=("other",)) as helper:
        await agent.connect()
        await helper.connect()
        early = (await start(http, 1))["task_id"]
        held = await helper.assigned()
        await agent.say(await agent.assigned(), agent.failure(1, "broken", retryable=False))
        await world.state(early, "failed")
        await world.state(held.task_id, "cancelling")
        other = (await start(http, 2))["task_id"]
        other_a = await agent.assigned()
        other_b = await helper.assigned()
        await helper.say(other_b, helper.result(1))
        await world.state(other_b.task_id, "succeeded")
        await agent.say(other_a, agent.failure(1, "broken", retryable=False))
        await world.state(other, "failed")
        (group,) = (await http.get("/api/dead-letters")).json()["items"]
        wish = {"fingerprint": group["fingerprint"]}
        answer = (await http.post("/api/dead-letters/replay", json=wish)).json()
        assert [item["task_id"] for item in answer["items"]] == [other]
        (refused,) = answer["refused"]
        assert (refused["task_id"], refused["error"]["code"]) == (early, "task_state")
        assert answer["remaining"] == 1
        again = await agent.assigned()
        assert agent.assignment(again).parent_id == answer["items"][0]["replayed_as"]
        await helper.say(held, helper.result(1))

        async def rest() -> Any:
            return (await http.post("/api/dead-letters/replay", json=wish)).json()["items"]

        (pair,) = await world.eventually(rest)
        assert pair["task_id"] == early


async def test_only_own_runs_of_that_workflow_that_are_over_are_replayed(
    world: Any, doors: Any, http: Any
) -> None:
    await declare(http)
    await declare(http, name="other")
    run_id = (await start(http, {"url": "u"}))["task_id"]
    early = await http.post(f"/api/workflows/news/runs/{run_id}/replay")
    assert (early.status_code, early.json()["code"]) == (409, "task_state")
    task = await world.submit("echo", 1)
    for name, wrong in (("other", run_id), ("news", task.id), ("none", run_id)):
        answer = await http.post(f"/api/workflows/{name}/runs/{wrong}/replay")
        assert (answer.status_code, answer.json()["code"]) == (404, "run_not_found")
    async with doors((await world.member("mallory")).key) as stranger:
        answer = await stranger.post(f"/api/workflows/news/runs/{run_id}/replay")
        assert answer.status_code == 404
    assert (await http.post("/api/workflows/news/runs/no-id/replay")).status_code == 404
    await http.post(f"/api/tasks/{run_id}/cancel")
    await world.state(run_id, "cancelled")
    answer = await replay(world, http, run_id)
    assert (answer.status_code, answer.json()["kept"]) == (202, [])

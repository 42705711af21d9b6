"""Trees of tasks: what is below is stopped, and it is known who stopped when and what ran on."""

import asyncio
import threading
from typing import Any

import pytest
from orchestra.features.events import Outbox
from orchestra.features.tasks import Task, cancel
from orchestra_protocol import agent_pb2 as pb
from orchestra_sdk import Agent, SyncContext

pytestmark = pytest.mark.anyio


async def stop(world: Any, task_id: Any, reason: str = "enough") -> Task:
    outbox = Outbox(world.bus, world.database)
    async with world.database.transaction() as tx:
        stopped = await cancel(tx, outbox, world.bus, world.actor, task_id, reason)
    await outbox.close()
    return stopped


async def family(world: Any, agent: Any) -> tuple[Any, Any, Any, Any]:
    """A root that waits for a child that waits for a running grandchild; a detached child runs."""
    root = await world.submit("echo", "root")
    run = await agent.assigned()
    await agent.ask_for(run, agent.spawn("child"))
    await agent.ask_for(run, agent.spawn("free", capability="echo", detached=True))
    await agent.ask_for(run, agent.suspend("child"))
    runs = {
        agent.assignment(r).input.string_value: r for r in [await agent.assigned() for _ in "ab"]
    }
    await agent.ask_for(runs["child"], agent.spawn("grandchild"))
    await agent.ask_for(runs["child"], agent.suspend("grandchild"))
    grandchild = await agent.assigned()
    return root, runs["child"], grandchild, runs["free"]


def cancelled(sequence: int) -> pb.AgentEvent:
    return pb.AgentEvent(sequence=sequence, cancelled=pb.Cancelled(reason="ok"))


async def test_a_tree_is_cancelled_when_every_run_in_it_has_stopped(
    world: Any, wire: Any, doors: Any
) -> None:
    http = await doors(world.key)
    await world.worker()
    async with wire(await world.plane(), capabilities=("echo", "child")) as agent:
        await agent.connect()
        root, child, grandchild, free = await family(world, agent)
        assert (await stop(world, root.id)).state == "cancelling", "a run below goes on"
        asked = await agent.next(pb.TASK_TYPE_CANCEL)
        assert asked.task_id == grandchild.task_id
        record = (await http.get(f"/api/tasks/{root.id}/cancellation")).json()
        assert (record["is_complete"], record["tasks"], record["stopping"]) == (False, 3, 3)
        await agent.say(grandchild, cancelled(1))
        for task_id in (grandchild.task_id, child.task_id, str(root.id)):
            await world.state(task_id, "cancelled")
        assert (await world.task(free.task_id)).state == "running", "it is detached"

    record = (await http.get(f"/api/tasks/{root.id}/cancellation")).json()
    assert (record["is_complete"], record["reason"]) == (True, "enough")
    how = {item["id"]: item["how"] for item in record["items"]}
    assert how == {
        str(root.id): "not_running",
        child.task_id: "not_running",
        grandchild.task_id: "acknowledged",
        free.task_id: "detached",
    }
    of_child = (await http.get(f"/api/tasks/{child.task_id}/cancellation")).json()
    assert of_child["top_id"] == str(root.id)


async def test_a_run_that_does_not_stop_is_fenced_and_what_it_does_after_is_on_record(
    world: Any, wire: Any, doors: Any
) -> None:
    http = await doors(world.key)
    await world.worker(cancel_grace_seconds=0.3)
    async with wire(await world.plane(), capabilities=("echo", "child")) as agent:
        await agent.connect()
        root, _, grandchild, _ = await family(world, agent)
        await stop(world, root.id)
        await world.state(root.id, "cancelled")
        await agent.next(pb.TASK_TYPE_REVOKE)
        await agent.say(grandchild, agent.result(1, "too late"))
        await agent.next(pb.TASK_TYPE_REVOKE)
    record = (await http.get(f"/api/tasks/{root.id}/cancellation")).json()
    (fenced,) = [item for item in record["items"] if item["id"] == grandchild.task_id]
    assert (fenced["how"], fenced["code"]) == ("fenced", "cancel_unanswered")
    assert (fenced["refused_writes"], fenced["state"]) == (1, "cancelled")
    assert fenced["after_fence"] == "stopped", "with its result the run was over at the agent"
    assert fenced["stopped_at"] == fenced["last_heard_at"] > fenced["fenced_at"]
    assert fenced["ran_on_seconds"] >= 0.3


async def fenced_run(world: Any, agent: Any) -> pb.TaskMessage:
    """A run that did not stop in time, as its agent knows by now."""
    task = await world.submit("echo", 1)
    run: pb.TaskMessage = await agent.assigned()
    await stop(world, task.id)
    await world.state(task.id, "cancelled")
    await agent.next(pb.TASK_TYPE_REVOKE)
    return run


async def record_of(world: Any, http: Any, task_id: Any, known: str | None) -> dict[str, Any]:
    """The record of a cancelled task, once it says that of what ran on."""

    async def item() -> Any:
        answer = (await http.get(f"/api/tasks/{task_id}/cancellation")).json()
        (item,) = answer["items"]
        return item if item["after_fence"] == known else None

    found: dict[str, Any] = await world.eventually(item)
    return found


async def test_of_a_fenced_run_nobody_knows_more_until_its_agent_speaks_of_it(
    world: Any, wire: Any, doors: Any
) -> None:
    http = await doors(world.key)
    await world.worker(cancel_grace_seconds=0.3)
    async with wire(await world.plane()) as agent:
        await agent.connect()
        run = await fenced_run(world, agent)
        silent = await record_of(world, http, run.task_id, "unknown")
        assert (silent["how"], silent["stopped_at"], silent["last_heard_at"]) == (
            "fenced",
            None,
            None,
        )
        await agent.say(run, agent.token(1, "on and on"))
        heard = await record_of(world, http, run.task_id, "heard")
        assert heard["last_heard_at"] > heard["fenced_at"] == silent["fenced_at"]
        assert heard["ran_on_seconds"] > silent["ran_on_seconds"]
        assert (heard["stopped_at"], heard["refused_writes"]) == (None, 0)
        await agent.say(run, cancelled(2))
        stopped = await record_of(world, http, run.task_id, "stopped")
        await agent.next(pb.TASK_TYPE_REVOKE)
        await agent.next(pb.TASK_TYPE_REVOKE)
        await agent.say(run, cancelled(2))
        await agent.next(pb.TASK_TYPE_REVOKE)
        again = await record_of(world, http, run.task_id, "stopped")
        assert again["stopped_at"] == stopped["stopped_at"], "the first word counts"
    assert (stopped["how"], stopped["code"]) == ("fenced", "cancel_unanswered")
    assert stopped["ran_on_seconds"] > heard["ran_on_seconds"]
    assert stopped["refused_writes"] == 0, "that it has stopped asks for nothing"


async def test_an_agent_that_comes_back_with_a_fenced_run_was_running_it(
    world: Any, wire: Any, doors: Any
) -> None:
    http = await doors(world.key)
    await world.worker(cancel_grace_seconds=0.3)
    async with wire(await world.plane()) as agent:
        await agent.connect()
        begun, waiting = await fenced_run(world, agent), await fenced_run(world, agent)
        await agent.disconnect()
        agent.waiting = [(waiting.task_id, waiting.epoch)]
        await agent.connect((begun.task_id, begun.epoch))
        await record_of(world, http, begun.task_id, "heard")
        assert await record_of(world, http, waiting.task_id, "unknown")


async def test_a_handler_of_the_sdk_that_left_late_is_on_record(world: Any, doors: Any) -> None:
    http = await doors(world.key)
    await world.worker(cancel_grace_seconds=0.3)
    agent, begun, onward = Agent("stubborn"), threading.Event(), threading.Event()

    @agent.task("stubborn")
    def work(ctx: SyncContext) -> None:
        begun.set()
        onward.wait(20)

    async with world.sdk(agent, (await world.plane()).address):
        task = await world.submit("stubborn")
        await asyncio.to_thread(begun.wait, 20)
        await stop(world, task.id)
        await world.state(task.id, "cancelled")
        silent = await record_of(world, http, task.id, "unknown")
        onward.set()
        stopped = await record_of(world, http, task.id, "stopped")
    assert stopped["ran_on_seconds"] > silent["ran_on_seconds"] >= 0.3
    assert stopped["refused_writes"] == 0


async def test_what_a_stranger_says_of_a_fenced_run_is_not_its_agents_word(
    world: Any, wire: Any, doors: Any
) -> None:
    http = await doors(world.key)
    await world.worker(cancel_grace_seconds=0.3)
    plane = await world.plane()
    async with wire(plane) as agent, wire(plane, name="b", capabilities=("other",)) as stranger:
        await agent.connect()
        await stranger.connect()
        run = await fenced_run(world, agent)
        await stranger.say(run, cancelled(1))
        await stranger.next(pb.TASK_TYPE_REVOKE)
        refused = await record_of(world, http, run.task_id, "unknown")
    assert (refused["refused_writes"], refused["last_heard_at"]) == (1, None)


async def test_a_run_that_fails_as_it_is_asked_to_stop_has_ended_itself(
    world: Any, wire: Any, doors: Any
) -> None:
    http = await doors(world.key)
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        run = await agent.assigned()
        await stop(world, task.id)
        await agent.say(run, agent.failure(1, "broken", retryable=True))
        await world.state(task.id, "cancelled")
    item = await record_of(world, http, run.task_id, None)
    assert (item["how"], item["code"], item["fenced_at"]) == ("ended_itself", "broken", None)


async def test_a_running_parent_is_over_only_after_its_children(world: Any, wire: Any) -> None:
    await world.worker()
    async with wire(await world.plane(), capabilities=("echo", "child")) as agent:
        await agent.connect()
        parent = await world.submit("echo", 1)
        run = await agent.assigned()
        await agent.ask_for(run, agent.spawn("a"))
        child = await agent.assigned()
        await stop(world, parent.id)
        assert (await agent.ask_for(run, agent.spawn("b"))).refused.code == "cancelling"
        assert (await agent.ask_for(run, agent.suspend("a"))).refused.code == "cancelling"
        assert (await agent.ask_for(run, agent.save("undo", "x"))).HasField("saved")
        await agent.say(run, cancelled(1))
        assert (await agent.acked()).final
        below = await world.task(parent.id)
        assert (below.state, below.agent_id) == ("cancelling", None)
        await agent.say(run, agent.result(2, "after all"))
        await agent.next(pb.TASK_TYPE_REVOKE)
        await agent.say(child, cancelled(1))
        await world.state(parent.id, "cancelled")


async def test_what_waits_is_cancelled_at_once_with_all_below_it(world: Any, wire: Any) -> None:
    async with wire(await world.plane(), slots=1) as agent:
        await agent.connect()
        parent = await world.submit("echo", 1)
        run = await agent.assigned()
        children = (await agent.ask_for(run, agent.spawn("a", "b"))).spawned.task_ids
        await agent.ask_for(run, agent.suspend("a", "b"))
        assert (await stop(world, parent.id)).state == "cancelled"
        for child in children:
            assert (await world.task(child)).state == "cancelled"


async def test_a_task_that_has_ended_stops_its_children_but_not_the_detached(
    world: Any, wire: Any
) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        run = await agent.assigned()
        (bound,) = (await agent.ask_for(run, agent.spawn("bound"))).spawned.task_ids
        reply = await agent.ask_for(run, agent.spawn("free", detached=True))
        await agent.say(run, agent.failure(1, "broken", retryable=False))
        await world.state(bound, "cancelled")
        assert (await world.task(reply.spawned.task_ids[0])).state == "queued"


async def test_trees_and_steps_are_shown_page_by_page_to_their_owner(
    world: Any, wire: Any, doors: Any
) -> None:
    http = await doors(world.key)
    stranger = await doors((await world.member("eve")).key)
    async with wire(await world.plane(), capabilities=("echo", "child")) as agent:
        await agent.connect()
        root, child, grandchild, _ = await family(world, agent)
    shown: list[Any] = []
    cursor = None
    while True:
        asked = {"limit": 1, **({"cursor": cursor} if cursor else {})}
        page = (await http.get(f"/api/tasks/{root.id}/tree", params=asked)).json()
        shown += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert [(n["name"], n["depth"]) for n in shown] == [
        ("", 0),
        ("child", 1),
        ("free", 1),
        ("grandchild", 2),
    ]
    assert shown[3]["parent_id"] == child.task_id
    detail = (await http.get(f"/api/tasks/{grandchild.task_id}")).json()
    assert (detail["root_id"], detail["parent_id"]) == (str(root.id), child.task_id)
    steps = (await http.get(f"/api/tasks/{root.id}/steps", params={"limit": 1})).json()
    rest = (
        await http.get(f"/api/tasks/{root.id}/steps", params={"cursor": steps["next_cursor"]})
    ).json()
    found = [(s["name"], s["kind"], s["settled_at"]) for s in steps["items"] + rest["items"]]
    assert found == [("child", "child", None), ("free", "child", None)]
    for what in ("tree", "steps", "cancellation"):
        assert (await stranger.get(f"/api/tasks/{root.id}/{what}")).status_code == 404
    assert (await http.get(f"/api/tasks/{root.id}/cancellation")).json()["code"] == "not_cancelled"

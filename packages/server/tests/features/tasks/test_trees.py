"""Trees of tasks: what is below is stopped, and it is known who stopped when and what ran on."""

from typing import Any

import pytest
from orchestra.features.events import Outbox
from orchestra.features.tasks import Task, cancel
from orchestra_protocol import agent_pb2 as pb

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
    assert fenced["ran_on_seconds"] >= 0.3


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

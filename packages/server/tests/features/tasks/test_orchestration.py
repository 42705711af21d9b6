"""Durable steps, child tasks and waits: what a run asks of the server, and what survives it."""

from typing import Any

import pytest
from orchestra.features.tasks import Priority
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio


def names(steps: Any) -> list[str]:
    return sorted(step.name for step in steps)


async def test_a_step_is_kept_once_and_told_to_the_next_attempt(world: Any, wire: Any) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        first = await agent.assigned()
        assert not agent.assignment(first).steps
        assert (await agent.ask_for(first, agent.save("charge", "paid"))).HasField("saved")
        assert (await agent.ask_for(first, agent.save("charge", "twice"))).HasField("saved")
        await agent.say(first, agent.failure(1, "crash", retryable=True))
        second = await agent.assigned()
        (step,) = agent.assignment(second).steps
        assert (step.name, step.output.string_value) == ("charge", "paid")
        assert step.kind == pb.STEP_KIND_EFFECT
        assert agent.assignment(second).attempt == 2
        await agent.say(second, agent.result(1))
        await world.state(task.id, "succeeded")


async def test_a_command_under_an_old_epoch_is_refused_and_audited(world: Any, wire: Any) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        first = await agent.assigned()
        await agent.say(first, agent.failure(1, "crash", retryable=True))
        second = await agent.assigned()
        for command in (agent.save("late", "x"), agent.spawn("late"), agent.suspend("late")):
            reply = await agent.ask_for(first, command)
            assert reply.refused.code == "stale_epoch"
        reply = await agent.ask_for(second, agent.save("good", "y"))
        assert reply.HasField("saved")
    async with world.database.transaction() as tx:
        audited = await tx.fetch(
            "SELECT details FROM audit_log WHERE action = 'task.stale_write_refused' ORDER BY id"
        )
        kept = await tx.fetch("SELECT name FROM task_steps")
    assert [row["details"]["trigger"] for row in audited] == ["save_step", "spawn", "suspend"]
    assert [row["name"] for row in kept] == ["good"]


async def test_a_parent_waits_without_a_slot_and_goes_on_with_its_childrens_results(
    world: Any, wire: Any
) -> None:
    await world.worker()
    async with wire(await world.plane(), capabilities=("echo", "child"), slots=1) as agent:
        await agent.connect()
        parent = await world.submit("echo", 1, priority=Priority.HIGH)
        run = await agent.assigned()
        spawned = (await agent.ask_for(run, agent.spawn("a", "b"))).spawned.task_ids
        assert list(spawned) == sorted(spawned), "ids are in the order of the children"
        again = (await agent.ask_for(run, agent.spawn("b", "a"))).spawned.task_ids
        assert list(again) == list(reversed(spawned)), "the same names are the same children"
        assert (await agent.ask_for(run, agent.suspend("a", "b"))).HasField("suspended")
        waiting = await world.state(parent.id, "waiting")
        assert (waiting.epoch, waiting.attempt, waiting.agent_id) == (3, 0, None)
        for _ in "ab":  # in the only slot that there is
            child = await agent.assigned()
            given = agent.assignment(child)
            assert given.parent_id == str(parent.id)
            assert child.priority == pb.TASK_PRIORITY_HIGH, "inherited"
            await agent.say(child, agent.result(1, f"done {given.input.string_value}"))
        back = await agent.assigned()
        assert (back.task_id, back.epoch) == (str(parent.id), 5)
        told = {step.name: step for step in agent.assignment(back).steps}
        assert agent.assignment(back).attempt == 1, "waiting is no attempt"
        assert {n: s.output.string_value for n, s in told.items()} == {"a": "done a", "b": "done b"}
        assert told["a"].task_id == spawned[0]
        await agent.say(back, agent.result(1, "all"))
        done = await world.state(parent.id, "succeeded")
    assert done.result == "all"
    states = [
        data["state"]
        for _, kind, data in await world.settled_events(parent.id)
        if kind == "task.status"
    ]
    assert states == ["queued", "running", "waiting", "queued", "running"]


async def test_a_childs_name_stands_for_one_piece_of_work(world: Any, wire: Any) -> None:
    await world.worker()
    async with wire(await world.plane(), capabilities=("echo", "child")) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        run = await agent.assigned()
        there = {"agent_id": agent.agent_id.upper()}
        work = (agent.spawn("a"), agent.spawn("b", **there))
        ids = [(await agent.ask_for(run, command)).spawned.task_ids[0] for command in work]

        async def check() -> None:
            other = agent.spawn("a", capability="child")
            other.spawn.children[0].input.number_value = 2
            for command in (other, agent.spawn("a", capability="other"), agent.spawn("b")):
                refused = (await agent.ask_for(run, command)).refused
                assert (refused.code, refused.retryable) == ("nondeterministic", False)
            assert "'b' is not what it was" in refused.message
            again = agent.spawn("a", priority=pb.TASK_PRIORITY_LOW, max_attempts=9)
            for command in (again, agent.spawn("b", **there)):
                assert (await agent.ask_for(run, command)).HasField("spawned"), "the same work"

        await check()
        for _ in ids:
            await agent.say(await agent.assigned(), agent.result(1))
        for child in ids:
            await world.state(child, "succeeded")
        await check()
        reply = await agent.ask_for(run, agent.suspend("a", "b"))
        assert [len(step.fingerprint) for step in reply.resumed.steps] == [64, 64]


async def test_children_of_an_older_version_are_not_compared(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        run = await agent.assigned()
        await agent.ask_for(run, agent.spawn("a"))
        async with world.database.transaction() as tx:
            await tx.execute("UPDATE tasks SET request_hash = '' WHERE parent_id IS NOT NULL")
        again = agent.spawn("a", capability="other")
        assert (await agent.ask_for(run, again)).HasField("spawned")


async def test_a_child_that_has_ended_before_the_wait_resumes_at_once(
    world: Any, wire: Any
) -> None:
    await world.worker()
    async with wire(await world.plane(), capabilities=("echo", "child")) as agent:
        await agent.connect()
        parent = await world.submit("echo", 1)
        run = await agent.assigned()
        (child_id,) = (await agent.ask_for(run, agent.spawn("a"))).spawned.task_ids
        await agent.say(await agent.assigned(), agent.result(1, "quick"))
        await world.state(child_id, "succeeded")
        reply = await agent.ask_for(run, agent.suspend("a"))
        (step,) = reply.resumed.steps
        assert (step.name, step.output.string_value) == ("a", "quick")
        assert (await world.task(parent.id)).state == "running"
        await agent.say(run, agent.result(1))
        await world.state(parent.id, "succeeded")


async def test_a_parent_whose_children_all_failed_sees_how(world: Any, wire: Any) -> None:
    await world.worker()
    async with wire(await world.plane(), capabilities=("echo", "child")) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        run = await agent.assigned()
        await agent.ask_for(run, agent.spawn("a", "b"))
        await agent.ask_for(run, agent.suspend("a", "b"))
        for _ in "ab":
            await agent.say(await agent.assigned(), agent.failure(1, "broken", retryable=False))
        back = agent.assignment(await agent.assigned())
        assert [step.failure.code for step in back.steps] == ["broken", "broken"]


async def test_any_of_several_is_enough_if_the_parent_says_so(world: Any, wire: Any) -> None:
    await world.worker()
    async with wire(await world.plane(), capabilities=("echo", "child")) as agent:
        await agent.connect()
        parent = await world.submit("echo", 1)
        run = await agent.assigned()
        await agent.ask_for(run, agent.spawn("a", "b"))
        await agent.ask_for(run, agent.suspend("a", "b", any=True))
        children = [await agent.assigned(), await agent.assigned()]
        await agent.say(children[0], agent.result(1, "first"))
        back = await agent.assigned()
        assert back.task_id == str(parent.id)
        assert names(agent.assignment(back).steps) == [
            agent.assignment(children[0]).input.string_value
        ]
        await agent.say(back, agent.result(1))
        await world.state(parent.id, "succeeded")
        stopped = await agent.next(pb.TASK_TYPE_CANCEL)
        assert stopped.task_id == children[1].task_id, "what nobody waits for any more is stopped"


async def test_a_timer_wakes_a_task_and_keeps_its_time(world: Any, wire: Any) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        run = await agent.assigned()
        assert (await agent.ask_for(run, agent.suspend(seconds=0.3, name="nap"))).HasField(
            "suspended"
        )
        back = await agent.assigned()
        (step,) = agent.assignment(back).steps
        assert (step.name, step.kind) == ("nap", pb.STEP_KIND_TIMER)
        reply = await agent.ask_for(back, agent.suspend(seconds=60, name="nap"))
        assert names(reply.resumed.steps) == ["nap"], "it is over already"


async def test_timers_of_one_wait_begin_together(world: Any, wire: Any, doors: Any) -> None:
    http = await doors(world.key)
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        run = await agent.assigned()
        month = pb.Timer(name="month", seconds=2_592_000)
        naps = agent.suspend(seconds=0.3, name="nap", timers=[month])
        twice = agent.suspend(seconds=0.3, name="nap", timers=[month, month])
        assert (await agent.ask_for(run, twice)).refused.code == "bad_command"
        assert (await agent.ask_for(run, naps)).HasField("suspended")
        back = await agent.assigned()
        assert names(agent.assignment(back).steps) == ["nap"], "the first to end is enough"
        rest = agent.suspend(seconds=month.seconds, name="month")
        assert (await agent.ask_for(back, rest)).HasField("suspended")
        steps = (await http.get(f"/api/tasks/{task.id}/steps")).json()["items"]
        begun = {step["name"]: step["created_at"] for step in steps}
        assert begun["month"] == begun["nap"], "it has kept its time"


async def test_cycles_runaway_depth_and_too_many_children_are_refused(
    world: Any, wire: Any
) -> None:
    plane = await world.plane(max_task_depth=2, max_children=3)
    async with wire(plane, capabilities=("echo", "child")) as agent:
        await agent.connect()
        await world.submit("echo", {"a": 1.0, "b": [2]})
        root = await agent.assigned()
        assert (await agent.ask_for(root, agent.spawn(*"abcd"))).refused.code == "too_many_steps"
        assert (await agent.ask_for(root, agent.spawn("a"))).HasField("spawned")
        child = await agent.assigned()
        again = agent.spawn("x", capability="echo")
        again.spawn.children[0].input.CopyFrom(agent.assignment(root).input)
        assert (await agent.ask_for(child, again)).refused.code == "cycle"
        own = agent.spawn("a")
        assert (await agent.ask_for(child, own)).refused.code == "cycle"
        assert (await agent.ask_for(child, agent.spawn("deeper"))).HasField("spawned")
        grandchild = await agent.assigned()
        reply = await agent.ask_for(grandchild, agent.spawn("deepest"))
        assert reply.refused.code == "too_deep"


async def test_what_cannot_be_understood_is_refused_and_the_run_goes_on(
    world: Any, wire: Any
) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        run = await agent.assigned()
        await agent.ask_for(run, agent.save("a", "x"))
        refused = [
            (agent.suspend(), "bad_command"),
            (agent.suspend("unheard"), "unknown_step"),
            (agent.suspend(seconds=1, name="a"), "nondeterministic"),
            (agent.spawn(), "bad_command"),
            (agent.spawn("b", "b"), "bad_command"),
            (agent.spawn("a"), "nondeterministic"),
            (agent.spawn("b", capability="no such!"), "invalid_input"),
            (agent.spawn("b", agent_id="no id"), "bad_command"),
            (agent.save("", "x"), "bad_command"),
            (pb.Command(), "bad_command"),
        ]
        for command, code in refused:
            assert (await agent.ask_for(run, command)).refused.code == code, command
        await agent.say(run, agent.result(1))
        await world.state(task.id, "succeeded")


async def test_a_full_queue_refuses_children_for_now(world: Any, wire: Any) -> None:
    async with wire(await world.plane(max_queued_tasks=2)) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        run = await agent.assigned()
        refused = (await agent.ask_for(run, agent.spawn("a", "b", "c"))).refused
        assert (refused.code, refused.retryable) == ("queue_full", True)
        assert (await agent.ask_for(run, agent.spawn("a", "b"))).HasField("spawned")
        assert (await agent.ask_for(run, agent.spawn("c"))).refused.code == "queue_full"
        again = await agent.ask_for(run, agent.spawn("b", "a"))
        assert again.HasField("spawned"), "those that are there need no room"


async def test_what_was_said_before_a_wait_is_kept_first(world: Any, wire: Any) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        run = await agent.assigned()
        await agent.say(run, *(agent.token(n, "word ") for n in range(1, 101)))
        await agent.ask_for(run, agent.suspend(seconds=60, name="nap"))
        found = await world.events(task.id)
        assert len([1 for _, kind, _ in found if kind == "task.token"]) == 100
        text, _ = await world.text(task.id)
        assert text == "word " * 100

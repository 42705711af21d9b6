"""What an agent is given beyond its slots: only quick work, and it can always be taken back."""

import asyncio
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from orchestra.features.agents.service.pace import BACKLOG_SECONDS, Pace
from orchestra.features.tasks.service.streams import slots
from orchestra.features.tasks.service.streams.backlog import Backlog
from orchestra.features.tasks.service.streams.run import Run
from orchestra.features.tasks.types import NewTask, TaskId
from orchestra_protocol import agent_pb2 as pb
from orchestra_sdk import Agent, Context

pytestmark = pytest.mark.anyio

BACKLOG = 8
SECONDS = 60.0


@pytest.fixture
async def plane(world: Any) -> Any:
    return await world.plane()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, nothing is taken back because it waits."""
    monkeypatch.setattr(slots, "STALLED_SECONDS", SECONDS)


@pytest.fixture
def quick(wire: Any) -> Any:
    """Makes agents with one slot and a backlog."""

    def make(plane: Any, name: str = "quick") -> Any:
        return wire(plane, name=name, instance_id=name, slots=1, backlog=BACKLOG)

    return make


def learn(plane: Any, agent: Any, seconds: float = 0.001) -> None:
    """As if the agent had done a task in so long."""
    connected = plane.it.plane.registry.get(uuid.UUID(agent.agent_id))
    connected.pace.observe("echo", seconds)


@pytest.mark.usefixtures("patient")
async def test_a_quick_agent_is_given_more_than_its_slots(
    world: Any, plane: Any, quick: Any
) -> None:
    async with quick(plane) as agent:
        await agent.connect()
        learn(plane, agent)
        tasks = [await world.submit("echo", number) for number in range(1 + BACKLOG)]
        given = [await agent.assigned() for _ in tasks]
        for task in given:
            await agent.say(task, agent.result(1))
        await asyncio.gather(*(world.state(task.id, "succeeded") for task in tasks))
    assert {task.task_id for task in given} == {str(task.id) for task in tasks}


async def test_an_agent_of_which_nothing_is_known_gets_as_many_as_it_has_slots(
    world: Any, plane: Any, quick: Any
) -> None:
    async with quick(plane) as agent:
        await agent.connect()
        tasks = [await world.submit("echo", number) for number in range(3)]
        first = await agent.assigned()
        assert plane.it.plane.registry.get(uuid.UUID(agent.agent_id)).in_use == 1
        await world.state(uuid.UUID(first.task_id), "running")
        states = [(await world.task(task.id)).life.state for task in tasks]
    assert sorted(states) == ["queued", "queued", "running"]


async def test_what_waits_in_vain_is_asked_for_and_goes_to_another(
    world: Any, plane: Any, quick: Any
) -> None:
    async with quick(plane) as slow, quick(plane, "other") as other:
        await slow.connect()
        learn(plane, slow)
        tasks = [await world.submit("echo", number) for number in range(3)]
        given = [await slow.assigned() for _ in tasks]
        await other.connect()
        await slow.next(pb.TASK_TYPE_RECALL)
        await give_back(slow, given[1:])
        again = [await other.assigned()]
        await other.say(again[0], other.result(1))
        again.append(await other.assigned())
        await other.say(again[1], other.result(1))
        back = [await world.state(uuid.UUID(task.task_id), "succeeded") for task in given[1:]]
    assert {task.task_id for task in again} == {task.task_id for task in given[1:]}
    assert [task.life.attempt for task in back] == [1, 1], "what had not begun was no attempt"


@pytest.mark.usefixtures("patient")
async def test_an_agent_that_comes_back_gives_away_what_it_has_not_begun(
    world: Any, plane: Any, quick: Any
) -> None:
    async with quick(plane) as agent, quick(plane, "other") as other:
        await agent.connect()
        learn(plane, agent)
        tasks = [await world.submit("echo", number) for number in range(2)]
        begun, waiting = [await agent.assigned() for _ in tasks]
        await agent.disconnect()
        agent.waiting = [(waiting.task_id, waiting.epoch)]
        welcome = await agent.connect((begun.task_id, begun.epoch))
        assert [item.task_id for item in welcome.resumed] == [begun.task_id]
        await other.connect()
        again = await other.assigned()
        assert (again.task_id, other.assignment(again).attempt) == (waiting.task_id, 1)
        assert again.epoch > waiting.epoch


@pytest.mark.usefixtures("patient")
async def test_what_an_agent_that_never_comes_back_had_not_begun_is_no_attempt(
    world: Any, quick: Any
) -> None:
    plane = await world.plane(agent_grace_seconds=0.2)
    async with quick(plane, "other") as other:
        async with quick(plane) as agent:
            await agent.connect()
            learn(plane, agent)
            tasks = [await world.submit("echo", number) for number in range(2)]
            begun, waiting = [await agent.assigned() for _ in tasks]
            await agent.disconnect()
        other.slots = 2
        await other.connect()
        again = [await other.assigned() for _ in tasks]
    attempts = {task.task_id: other.assignment(task).attempt for task in again}
    assert attempts == {begun.task_id: 2, waiting.task_id: 1}


async def test_an_agent_does_not_get_rid_of_what_it_has_begun(
    world: Any, plane: Any, quick: Any
) -> None:
    async with quick(plane) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        await give_back(agent, [await agent.assigned()])
        again = await agent.assigned()
    assert agent.assignment(again).attempt == 2


async def test_everything_is_done_once_also_where_a_quick_agent_is_slow_at_times(
    world: Any, plane: Any
) -> None:
    agent, done = Agent("sometimes-slow", slots=2), list[int]()

    @agent.task("sometimes")
    async def sometimes(ctx: Context, input: int) -> int:
        if input % 100 == 99:  # longer than anything may wait behind it
            work = asyncio.get_running_loop().create_future()
            await asyncio.wait({work}, timeout=2 * slots.STALLED_SECONDS)
        done.append(input)
        return input

    new = [NewTask(capability="sometimes", input=number) for number in range(600)]
    async with world.sdk(agent, plane.address):
        tasks = await world.submitter.submit_all(world.actor, new)
        for task in tasks:
            await world.state(task.id, "succeeded", seconds=SECONDS)
    assert sorted(done) == list(range(600))
    assert plane.it.plane.runs == {}


def test_a_run_begins_when_it_has_a_slot_and_its_time_outs_with_it() -> None:
    backlog, first, second = Backlog(1), a_run(), a_run()
    backlog.add(first)
    backlog.add(second)
    assert (first.begun, second.begun, backlog.waiting()) == (True, False, [second])
    assigned_at = second.started_at
    backlog.leave(first)
    assert (second.begun, backlog.waiting()) == (True, [])
    assert second.started_at > assigned_at
    assert second.run_deadline == second.started_at + SECONDS


def test_urgent_runs_begin_first_and_then_the_one_that_came_first() -> None:
    backlog, first = Backlog(1), a_run()
    normal, later, critical, lost = [a_run() for _ in range(4)]
    backlog.add(first)
    for run, priority in ((normal, 1), (later, 1), (lost, 3), (critical, 3)):
        backlog.add(run, priority=priority)
    lost.is_lost = True
    begun: list[Run] = []
    for _ in range(3):
        backlog.leave(begun[-1] if begun else first)
        begun += [run for run in (normal, later, critical) if run.begun and run not in begun]
    assert begun == [critical, normal, later]


def test_what_says_something_has_begun_whatever_was_expected() -> None:
    backlog, first, second = Backlog(1), a_run(), a_run()
    backlog.add(first)
    backlog.add(second)
    backlog.note_begun(second)
    assert (second.begun, backlog.waiting()) == (True, [])


def test_only_so_much_waits_as_is_done_in_a_moment() -> None:
    pace = Pace(slots=4, most=100)
    assert pace.backlog(["echo"]) == 0
    pace.observe("echo", 0.0001)
    assert pace.backlog(["echo"]) == 100
    assert pace.backlog(["echo", "unknown"]) == 0
    pace.observe("slow", BACKLOG_SECONDS / 2)
    assert pace.backlog(["echo", "slow"]) == 8
    pace.observe("long", 2 * BACKLOG_SECONDS)
    assert pace.backlog(["long"]) == 0
    pace.is_stalled = True
    assert pace.backlog(["echo"]) == 0


async def give_back(agent: Any, tasks: list[pb.TaskMessage]) -> None:
    runs = [pb.RunningTask(task_id=task.task_id, epoch=task.epoch) for task in tasks]
    await agent.send(pb.TASK_TYPE_RETURN, pb.Return(runs=runs))


def a_run() -> Run:
    agent: Any = SimpleNamespace(id=uuid.UUID(int=1), name="quick")
    return Run(
        task_id=TaskId(uuid.UUID(int=2)),
        epoch=2,
        attempt=1,
        user_id=uuid.UUID(int=3),
        agent=agent,
        run_seconds=SECONDS,
        progress_timeout=SECONDS,
    )

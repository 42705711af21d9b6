"""Who kills its agents is set aside; who was only beside it is not."""

import itertools
import uuid
from typing import Any

import pytest
from orchestra.features.tasks.repository.ending import Locked
from orchestra.features.tasks.service.ends import poison
from orchestra.features.tasks.types import (
    Life,
    Priority,
    QueueName,
    TaskId,
    TaskProblem,
    TaskState,
)

LOST = TaskProblem(poison.AGENT_LOST, "The agent was not heard of any more.")
ONE, TWO = uuid.UUID(int=1), uuid.UUID(int=2)


def task(number: int, *, agent: uuid.UUID = ONE, agents_lost: int = 0) -> Locked:
    return Locked(
        id=TaskId(uuid.UUID(int=number)),
        life=Life(TaskState.RUNNING, 1, 1, 20),
        queue=QueueName("echo"),
        capability="echo",
        priority=Priority.NORMAL,
        user_id=uuid.UUID(int=9),
        agent_id=agent,
        agent_name="victim",
        wants_finish=False,
        agents_lost=agents_lost,
    )


def test_what_is_lost_together_again_begins_one_after_the_other() -> None:
    lost = [task(number, agents_lost=1) for number in range(4)]
    pauses = poison.pauses([*lost, task(99, agent=TWO, agents_lost=1)])
    apart = poison.APART_SECONDS
    assert sorted(pauses[it.id] for it in lost) == [0.0, apart, 2 * apart, 3 * apart]
    assert pauses[task(99).id] == 0.0, "another agent's"


def test_each_time_further_apart_and_another_is_the_first() -> None:
    firsts: set[TaskId] = set()
    for losses in range(1, 5):
        pauses = poison.pauses([task(number, agents_lost=losses) for number in range(4)])
        assert sorted(pauses.values())[1] == poison.APART_SECONDS * 2 ** (losses - 1)
        firsts.add(min(pauses, key=pauses.__getitem__))
    assert len(firsts) == 4
    longest = poison.pauses([task(number, agents_lost=2_000) for number in range(99)])
    assert max(longest.values()) == poison.LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize(
    ("lost_before", "strikes", "is_poison"),
    [(0, 1.0, False), (2, 3.0, True), (2, 2.5, False), (5, 3.0, True)],
)
def test_strikes_decide_and_not_losses(lost_before: int, strikes: float, is_poison: bool) -> None:
    it = task(1, agents_lost=lost_before)
    said = poison.verdict(it, LOST, poison.Suspicion({it.id: strikes}), limit=3)
    assert (said is not None) is is_poison


@pytest.mark.anyio
async def test_even_where_one_loss_is_enough_who_began_before_is_not_blamed(
    world: Any, wire: Any
) -> None:
    plane = await world.plane(agent_grace_seconds=0.1, poison_attempts=1)
    async with wire(plane, name="victim", slots=2) as agent:
        await agent.connect()
        early = await world.submit("echo", "early", max_attempts=20)
        await agent.assigned()
        late = await world.submit("echo", "late", max_attempts=20)
        await agent.assigned()
        await agent.disconnect()
        assert (await world.state(late.id, "failed")).error.code == poison.CODE
        await world.state(early.id, "queued")


def test_another_problem_is_no_loss() -> None:
    it = task(1, agents_lost=9)
    problem = TaskProblem("failed", "It raised an error.")
    assert poison.verdict(it, problem, poison.Suspicion({it.id: 9.0}), limit=3) is None


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poison, "APART_SECONDS", 0.3)


@pytest.mark.anyio
@pytest.mark.timeout(120)
@pytest.mark.parametrize("names", [("killer", "patient"), ("patient", "killer")])
async def test_a_killer_is_set_aside_and_who_worked_beside_it_ends_well(
    world: Any, wire: Any, apart: None, names: tuple[str, str]
) -> None:
    await world.worker()
    plane = await world.plane(agent_grace_seconds=0.1, poison_attempts=3)
    tasks = {name: await world.submit("echo", name, max_attempts=20) for name in names}
    killer, patient = tasks["killer"], tasks["patient"]

    async def meets_killer(agent: Any) -> bool:
        """Works until it is given the killer, or, once that is no more, does the other task."""
        while True:
            run = await agent.assigned(seconds=30)
            if run.task_id == str(killer.id):
                return True
            if (await world.task(killer.id)).state == "failed":
                await agent.say(run, agent.result(1))
                await world.state(patient.id, "succeeded")
                return False

    async def is_given_up() -> bool:
        states = [(await world.task(it.id)).state for it in (killer, patient)]
        return "running" not in states

    for number in itertools.count():
        async with wire(plane, name=f"victim-{number}", slots=2) as agent:
            await agent.connect()
            if not await meets_killer(agent):
                break
            await agent.disconnect()
        await world.eventually(is_given_up, 30)
    done, end = await world.task(patient.id), await world.task(killer.id)
    assert (end.state, end.error.code) == ("failed", poison.CODE)
    assert end.attempt <= 6, "each loss is half of one at least"
    assert done.state == "succeeded"

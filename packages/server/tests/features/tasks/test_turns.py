"""When a slot is free for a place in line: the arithmetic alone."""

import uuid
from typing import Any

import pytest
from orchestra.features.tasks.repository.why import Running, Server
from orchestra.features.tasks.service.reading.turns import MAX_PLACED, estimate, left, turn
from orchestra.features.tasks.types import QueueName

A, B = uuid.UUID(int=1), uuid.UUID(int=2)


def agent(id: uuid.UUID, *, slots: int, in_use: int) -> Server:
    values: dict[str, Any] = {"status": "online", "reason": "", "is_for": True, "queues": ["echo"]}
    values |= {"is_drained": False, "is_quarantined": False, "quarantine_until": None}
    return Server(id=id, name="worker", slots=slots, in_use=in_use, **values)


def runs(id: uuid.UUID, elapsed: float, queue: str = "echo") -> Running:
    return Running(agent_id=id, queue=QueueName(queue), elapsed=elapsed)


def test_what_runs_takes_as_long_as_those_that_took_longer_than_it_has_so_far() -> None:
    assert left(0, [2, 4]) == 3
    assert left(1, [2, 4]) == 2
    assert left(2.5, [2, 4]) == 1.5, "it is none of those that took 2 s"
    assert left(30, [2, 4]) == 30, "longer than any: as long again"
    assert left(30, []) is None


@pytest.mark.parametrize(
    ("slots", "line", "seconds"),
    [
        ([7.0], [], 7),
        ([9.0, 1.0], [], 1),
        ([9.0, 1.0], [2.0, 2.0], 5),
        ([9.0, 1.0], [2.0] * 4, 9),
        ([20.0, 20.0, 1.0], [30.0, 1.0, 1.0], 21),
        ([0.0, 0.0, 0.0, 5.0], [4.0, 4.0], 0),
        ([0.0, 0.0, 0.0], [4.0] * 3, 4),
    ],
)
def test_a_line_gets_the_slots_as_they_become_free(
    slots: list[float], line: list[float], seconds: float
) -> None:
    assert turn(slots, line) == pytest.approx(seconds)


@pytest.mark.parametrize("slots", [[0.0], [900.0, 0.0, 3.0], [float(at) for at in range(40)]])
def test_far_behind_it_is_right_to_the_time_of_one_task(slots: list[float]) -> None:
    exact, free = 5 * MAX_PLACED, sorted(slots)
    for _ in range(exact):
        free = sorted([free[0] + 2.0, *free[1:]])
    assert turn(slots, [2.0] * exact) == pytest.approx(free[0], abs=2.0)


def test_long_tasks_of_another_queue_are_waited_for() -> None:
    took = {"echo": [0.1] * 50, "render": [20.0] * 50}
    agents = [agent(A, slots=1, in_use=1)]
    running = [runs(A, 5, "render")]
    assert estimate(agents, running, took, queue="echo", ahead=0) == pytest.approx(15)
    assert estimate(agents, running, took, queue="echo", ahead=10) == pytest.approx(16)


def test_what_an_agent_has_not_begun_is_before_those_that_wait() -> None:
    agents = [agent(A, slots=1, in_use=3)]
    running = [runs(A, 1), runs(A, 6), runs(A, 1)]
    assert estimate(agents, running, {"echo": [10]}, queue="echo", ahead=1) == pytest.approx(34)


def test_free_slots_are_taken_by_those_before() -> None:
    agents = [agent(A, slots=2, in_use=0), agent(B, slots=2, in_use=1)]
    known = estimate(agents, [runs(B, 1)], {"echo": [10]}, queue="echo", ahead=3)
    assert known == pytest.approx(9)


def test_nothing_is_said_of_what_nobody_has_measured() -> None:
    agents = [agent(A, slots=1, in_use=1), agent(B, slots=1, in_use=1)]
    running = [runs(A, 5, "new"), runs(B, 5)]
    assert estimate(agents, running, {}, queue="echo", ahead=0) is None
    assert estimate(agents, running, {"new": [8]}, queue="echo", ahead=0) == pytest.approx(3)
    assert estimate(agents, running, {"new": [8]}, queue="echo", ahead=1) is None
    one_of_two = estimate(agents, running, {"echo": [8]}, queue="echo", ahead=1)
    assert one_of_two == pytest.approx(11), "the new one's slot is not waited for"


def test_a_part_of_what_runs_stands_for_all() -> None:
    agents = [agent(A, slots=100, in_use=90)]
    running = [runs(A, 5) for _ in range(9)]
    assert estimate(agents, running, {"echo": [10]}, queue="echo", ahead=10) == pytest.approx(5)
    assert estimate(agents, running, {"echo": [10]}, queue="echo", ahead=110) == pytest.approx(15)

"""Which agents a claim looks at when there are thousands."""

import uuid

from agent_records import agent_record
from orchestra.features.agents import ConnectedAgent, Registry
from orchestra.features.tasks.repository.claiming import MAX_CLAIM
from orchestra.features.tasks.service.dispatch.dispatcher import SMALLEST_CLAIM, ClaimSize
from orchestra.features.tasks.service.dispatch.ready import (
    CHOICES,
    REFRESHED_AT_ONCE,
    WINDOW,
    Ready,
)

OWNER, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)


def agent_at(registry: Registry, number: int, *, owner: uuid.UUID | None = None) -> ConnectedAgent:
    agent = registry.connect(agent_record(number, owner=owner), instance_id="", slots=1)
    agent.welcomed = True
    return agent


def fleet(count: int) -> tuple[Ready, list[ConnectedAgent]]:
    registry = Registry(heartbeat_seconds=2.0)
    ready = Ready(registry)
    agents = [agent_at(registry, number) for number in range(count)]
    for agent in agents:
        ready.add(agent)
    return ready, agents


def test_a_claim_looks_at_some_and_the_next_one_at_others() -> None:
    ready, agents = fleet(3 * WINDOW)
    first, second = (next(ready.windows("echo", None)) for _ in range(2))
    assert first == agents[:WINDOW]
    assert second == agents[WINDOW : 2 * WINDOW]


def test_all_that_have_room_get_their_turn_once() -> None:
    ready, agents = fleet(2 * WINDOW + 7)
    seen = [agent for window in ready.windows("echo", None) for agent in window]
    assert seen == agents


def test_for_few_tasks_few_agents_are_looked_at_and_more_when_these_do_not_do() -> None:
    ready, agents = fleet(3 * WINDOW)
    windows = list(ready.windows("echo", None, tasks=8))
    assert [len(window) for window in windows[:2]] == [8 * CHOICES, 16 * CHOICES]
    assert max(len(window) for window in windows) == WINDOW
    assert [agent for window in windows for agent in window] == agents


def test_who_has_no_room_is_not_looked_at_until_it_has_some() -> None:
    ready, agents = fleet(WINDOW + 1)
    for agent in agents[:-1]:
        agent.in_use = 1
    assert list(ready.windows("echo", None)) == [agents[-1:]]
    agents[0].in_use = 0
    assert list(ready.windows("echo", None)) == [agents[-1:]]
    ready.add(agents[0])
    assert list(ready.windows("echo", None)) == [[agents[-1], agents[0]]]


def test_what_nobody_has_said_is_found_by_looking_at_all() -> None:
    ready, (agent,) = fleet(1)
    agent.in_use = 1
    assert list(ready.windows("echo", None)) == []
    agent.in_use = 0
    ready.refresh("echo")
    assert list(ready.windows("echo", None)) == [[agent]]


def test_a_large_fleet_is_looked_at_again_bit_by_bit_and_without_those_that_have_gone() -> None:
    registry = Registry(heartbeat_seconds=2.0)
    ready = Ready(registry)
    agents = [agent_at(registry, number) for number in range(2 * REFRESHED_AT_ONCE + 1)]
    ready.refresh("echo")
    registry.disconnect(agents[-1])
    seen = [_found(ready)]
    for _ in range(2):
        ready.refresh("echo")
        seen.append(_found(ready))
    assert seen == [REFRESHED_AT_ONCE, 2 * REFRESHED_AT_ONCE, 2 * REFRESHED_AT_ONCE]
    for agent in agents:
        agent.in_use = 1
    assert _found(ready) == 0
    for agent in agents:
        agent.in_use = 0
    for _ in range(2):  # from the beginning
        ready.refresh("echo")
    assert _found(ready) == 2 * REFRESHED_AT_ONCE


def test_a_queue_whose_agents_are_all_busy_is_known_as_theirs() -> None:
    registry = Registry(heartbeat_seconds=2.0)
    ready = Ready(registry)
    shared, private = agent_at(registry, 1), agent_at(registry, 2, owner=OTHER)
    for agent in (shared, private):
        ready.add(agent)
        agent.in_use = 1
    assert set(ready.owners("echo")) == {None, OTHER}
    assert list(ready.windows("echo", OTHER)) == []
    assert set(ready.owners("echo")) == {None, OTHER}
    private.gone = True
    ready.forget(private)
    assert ready.owners("echo") == [None]
    assert ready.owners(str(private.id)) == []


def test_an_agent_that_has_connected_again_stays_when_the_former_one_goes() -> None:
    registry = Registry(heartbeat_seconds=2.0)
    ready = Ready(registry)
    former = agent_at(registry, 1)
    ready.add(former)
    registry.disconnect(former)
    ready.forget(former)
    present = agent_at(registry, 1)
    ready.add(present)
    ready.forget(former)
    assert list(ready.windows("echo", None)) == [[present]]


def _found(ready: Ready) -> int:
    return sum(len(window) for window in ready.windows("echo", None))


def test_claims_grow_with_what_they_find_and_shrink_when_they_find_little() -> None:
    size = ClaimSize()
    assert size.tasks == SMALLEST_CLAIM
    size.note(slots=SMALLEST_CLAIM, tasks=SMALLEST_CLAIM)
    size.note(slots=2 * SMALLEST_CLAIM, tasks=2 * SMALLEST_CLAIM)
    assert size.tasks == 4 * SMALLEST_CLAIM
    size.note(slots=2, tasks=2)  # as many as agents had room for
    assert size.tasks == 4 * SMALLEST_CLAIM
    size.note(slots=4 * SMALLEST_CLAIM, tasks=1)
    assert size.tasks == 2 * SMALLEST_CLAIM
    size.note(slots=2 * SMALLEST_CLAIM, tasks=0)
    size.note(slots=SMALLEST_CLAIM, tasks=0)
    assert size.tasks == SMALLEST_CLAIM


def test_no_claim_is_larger_than_the_database_allows() -> None:
    size = ClaimSize()
    for _ in range(10):
        size.note(slots=size.tasks, tasks=size.tasks)
    assert size.tasks == MAX_CLAIM

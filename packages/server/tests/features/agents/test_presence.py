"""What a control plane writes of its agents at once, and what it leaves for a moment."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from agent_records import agent_record
from orchestra.features.agents import ConnectedAgent, Presence, Registry, repository
from orchestra.features.agents.service import presence as presence_module
from orchestra.features.agents.service.presence import AT_ONCE, LOADS_PER_LOOK, WRITES_PER_SWEEP
from orchestra.features.agents.types import AgentId, LiveState
from orchestra.foundation.database import Transaction
from orchestra.foundation.errors import Unavailable

pytestmark = pytest.mark.anyio


Look = tuple[Presence, Registry, list[ConnectedAgent]]


async def fleet(world: Any, count: int) -> tuple[Presence, list[ConnectedAgent]]:
    """Agents that were written down as idle."""
    presence, _, agents = await registered(world, count)
    return presence, agents


async def registered(world: Any, count: int) -> Look:
    """The same, with the registry that knows them."""
    registry = Registry(heartbeat_seconds=60.0)
    presence = Presence(registry, world.database, world.bus, control_plane_id="here")
    agents = [
        registry.connect(agent_record(number), instance_id="", slots=1) for number in range(count)
    ]
    await presence.look()
    assert all(agent.written_in_use == 0 for agent in agents)
    return presence, registry, agents


def watch(monkeypatch: pytest.MonkeyPatch, on_save: Callable[[Sequence[LiveState]], None]) -> None:
    """Calls `on_save` with the states of each transaction, before they are written."""
    save = repository.save_states

    async def watched(
        tx: Transaction, states: Sequence[LiveState], *, control_plane_id: str
    ) -> set[AgentId]:
        on_save(states)
        return await save(tx, states, control_plane_id=control_plane_id)

    monkeypatch.setattr(repository, "save_states", watched)


async def test_of_thousands_that_become_busy_some_are_written_at_each_look(world: Any) -> None:
    presence, agents = await fleet(world, LOADS_PER_LOOK + 7)
    for agent in agents:
        agent.in_use = 1
    await presence.look()
    assert sum(agent.written_in_use for agent in agents) == LOADS_PER_LOOK
    await presence.look()
    assert sum(agent.written_in_use for agent in agents) == len(agents)


async def test_who_is_idle_again_need_not_be_written(world: Any) -> None:
    presence, agents = await fleet(world, LOADS_PER_LOOK + 7)
    for agent in agents:
        agent.in_use = 1
    await presence.look()
    (*_, last) = agents
    written_at = last.written_at
    last.in_use = 0
    await presence.look()
    assert last.written_at == written_at


async def test_what_is_no_task_is_written_for_all_at_once(world: Any) -> None:
    presence, agents = await fleet(world, LOADS_PER_LOOK + 7)
    for agent in agents:
        agent.find_fault("no heartbeat for 9 s")
    await presence.look()
    assert {agent.written.reason for agent in agents} == {"no heartbeat for 9 s"}


async def test_tasks_have_their_turn_between_the_writes_of_a_large_fleet(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence, agents = await fleet(world, 2 * AT_ONCE + 7)
    sizes: list[int] = []
    watch(monkeypatch, lambda states: sizes.append(len(states)))
    for agent in agents:
        agent.find_fault("no heartbeat for 9 s")
    await presence.look()
    assert sizes == [AT_ONCE, AT_ONCE, 7]


async def test_who_leaves_while_others_are_written_is_written_as_gone(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence, registry, agents = await registered(world, AT_ONCE + 1)
    (*_, last) = agents
    written: list[LiveState] = []

    def leave(states: Sequence[LiveState]) -> None:
        written.extend(states)
        if not last.gone:
            registry.disconnect(last)

    watch(monkeypatch, leave)
    for agent in agents:
        agent.find_fault("no heartbeat for 9 s")
    await presence.look()
    assert last.id not in {state.id for state in written}
    await presence.look()
    assert [state.status for state in written if state.id == last.id] == ["offline"]


async def test_agents_that_came_together_are_written_again_bit_by_bit(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence, agents = await fleet(world, WRITES_PER_SWEEP + 7)
    for agent in agents:
        agent.written_at = float("-inf")
    written: list[LiveState] = []
    watch(monkeypatch, written.extend)
    monkeypatch.setattr(presence_module, "IDLE_SECONDS", 0.0)  # the next look is a sweep again
    await presence.look()
    assert len(written) == WRITES_PER_SWEEP


async def test_what_cannot_be_written_is_written_when_the_database_is_back(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence, registry, agents = await registered(world, AT_ONCE + 2)
    left, troubled, *_ = agents
    states: list[LiveState] = []

    def refuse(given: Sequence[LiveState]) -> None:
        raise Unavailable("The database is away.")

    watch(monkeypatch, states.extend)
    registry.disconnect(left)
    troubled.count(succeeded=True, seconds=2.0)
    troubled.find_fault("no heartbeat for 9 s")
    with monkeypatch.context() as away:
        watch(away, refuse)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await presence.look()
    assert troubled.view().performance.tasks_completed == 1
    await presence.look()
    written = {state.id: state for state in states}
    assert written[left.id].status == "offline"
    assert written[troubled.id].reason == "no heartbeat for 9 s"
    assert written[troubled.id].completed == 1
    assert troubled.view().performance.tasks_completed == 1


async def test_a_failed_write_of_some_leaves_the_others_for_the_next_look(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence, agents = await fleet(world, 2 * AT_ONCE)
    calls: list[int] = []

    def refuse_the_second(given: Sequence[LiveState]) -> None:
        calls.append(len(given))
        if len(calls) == 2:
            raise Unavailable("The database is away.")

    watch(monkeypatch, refuse_the_second)
    for agent in agents:
        agent.find_fault("no heartbeat for 9 s")
    with pytest.raises(Unavailable):
        await presence.look()
    await presence.look()
    assert calls == [AT_ONCE, AT_ONCE, AT_ONCE]
    assert {agent.written.reason for agent in agents} == {"no heartbeat for 9 s"}

"""Where a key is at home when agents are connected to several control planes; no engine needed."""

import asyncio
import uuid

import pytest
from agent_records import agent_record
from orchestra.features.agents import AgentId, ConnectedAgent, PeerAgent, Registry
from orchestra.features.tasks.service.dispatch.affinity import Ring
from orchestra.features.tasks.service.dispatch.peers import PeerPlane, RemoteAgent
from orchestra.features.tasks.service.dispatch.rooms import Rooms

KEYS = [f"conversation-{number}" for number in range(300)]


def here(number: int, *, slots: int = 10) -> ConnectedAgent:
    made = ConnectedAgent(agent_record(number, slots=slots), instance_id="", slots=slots)
    made.welcomed = True
    return made


def elsewhere(number: int, plane: PeerPlane, *, slots: int = 10) -> RemoteAgent:
    said = PeerAgent(
        id=AgentId(uuid.UUID(int=number)),
        control_plane_id=plane.id,
        owner_id=None,
        capabilities=("echo",),
        slots=slots,
        slots_in_use=0,
        is_working=True,
    )
    return RemoteAgent(said, plane)


def homes(ring: Ring, present: ConnectedAgent, *, local: bool = False) -> dict[str, int]:
    found = {key: ring.home(key, present=present, here=local) for key in KEYS}
    return {key: home.id.int for key, home in found.items() if home is not None}


def two_planes() -> tuple[Ring, Ring, ConnectedAgent, ConnectedAgent, PeerPlane]:
    """Agents 1 to 3 are at the first control plane, 4 to 6 at the second."""
    one, two = PeerPlane("one"), PeerPlane("two")
    first, second = [here(number) for number in (1, 2, 3)], [here(number) for number in (4, 5, 6)]
    at_one = Ring([*first, *(elsewhere(number, two) for number in (4, 5, 6))])
    at_two = Ring([*second, *(elsewhere(number, one) for number in (1, 2, 3))])
    return at_one, at_two, first[0], second[0], two


def test_every_control_plane_finds_the_same_home() -> None:
    at_one, at_two, one, two, _ = two_planes()
    found = homes(at_one, one)
    assert found == homes(at_two, two)
    assert set(found.values()) == {1, 2, 3, 4, 5, 6}


def test_only_the_keys_of_a_control_plane_that_is_silent_move() -> None:
    at_one, _, one, _, two = two_planes()
    before = homes(at_one, one)
    two.note_silence()
    after = homes(at_one, one)
    assert set(after.values()) == {1, 2, 3}
    assert all(after[key] == home for key, home in before.items() if home <= 3)
    assert homes(at_one, one, local=True) == after


def test_only_the_keys_of_an_agent_that_takes_nothing_move() -> None:
    one = PeerPlane("one")
    agents = [elsewhere(number, one) for number in (2, 3, 4)]
    present = here(1)
    ring = Ring([present, *agents])
    before = homes(ring, present)
    agents[0].is_working = False
    after = homes(ring, present)
    assert {key for key in KEYS if before[key] != after[key]} == {
        key for key in KEYS if before[key] == 2
    }


def test_who_has_refused_is_not_asked_again() -> None:
    at_one, _, one, _, _ = two_planes()
    refused = {AgentId(uuid.UUID(int=4)), AgentId(uuid.UUID(int=5))}
    for key in KEYS:
        home = at_one.home(key, present=one, without=refused)
        assert home is not None
        assert home.id not in refused


def test_slots_that_a_claim_may_give_back_are_no_load() -> None:
    present, home = here(1), here(2)
    ring = Ring([present, home])
    key = next(key for key in KEYS if ring.home(key, present=present) is home)
    home.in_use = 9
    assert ring.home(key, present=present) is present
    assert ring.home(key, present=present, reserved=lambda it: 9 * (it is home)) is home


@pytest.mark.anyio
async def test_who_asks_during_a_claim_is_served_at_its_end() -> None:
    rooms, agent = Rooms(Registry(heartbeat_seconds=1)), here(1, slots=1)
    picked = [agent]
    agent.in_use += 1
    rooms.claim_begins(picked)
    assert rooms.reserved(agent) == 1

    def attempt() -> bool:
        if agent.free:
            agent.in_use += 1
            return True
        return False

    asking = asyncio.ensure_future(rooms.between_claims(attempt))
    await asyncio.sleep(0)
    assert not asking.done()
    agent.in_use -= 1
    rooms.claim_ends(picked)
    assert agent.in_use == 1, "before anybody else could take it"
    await asking
    await rooms.between_claims(attempt)  # no claim is under way: nothing to wait for

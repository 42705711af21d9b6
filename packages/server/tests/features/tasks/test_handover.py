"""Tasks with a key go to one agent, whichever control plane it is at, and whoever dies."""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec
import pytest
from orchestra.features.tasks.repository import claiming, handing
from orchestra.features.tasks.repository.claiming import Claim, Slot
from orchestra.features.tasks.repository.handing import Lease
from orchestra.features.tasks.service.dispatch import handover, rooms
from orchestra.features.tasks.service.dispatch.handover import SUBJECT, Offer
from orchestra.features.tasks.types import QueueName, TaskId

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
KEYS = [f"conversation-{number}" for number in range(24)]
PATIENCE_SECONDS = 30.0


class Fleet:
    """Agents at several control planes that answer at once, and who has got the tasks of a key."""

    def __init__(self, world: Any, wire: Any, stack: contextlib.AsyncExitStack) -> None:
        self.world, self.wire, self.stack = world, wire, stack
        self.got: defaultdict[str, list[str]] = defaultdict(list)
        self.answering: dict[str, asyncio.Task[None]] = {}

    async def connect(
        self, plane: Any, name: str, *running: tuple[str, int], slots: int = 60
    ) -> Any:
        """An agent without work to do, which may hold what it held before."""
        agent = await self.stack.enter_async_context(self.wire(plane, name=name, slots=slots))
        await agent.connect(*running)
        return agent

    async def join(self, plane: Any, *names: str) -> list[Any]:
        """Agents of these names that answer from now on."""
        agents = [await self.connect(plane, name) for name in names]
        for agent in agents:
            self.answer(agent)
        return agents

    def answer(self, agent: Any) -> None:
        self.answering[agent.name] = self.world.guard.spawn("answer", self._answer(agent))

    async def leave(self, *agents: Any) -> None:
        for agent in agents:
            work = self.answering.pop(agent.name)
            work.cancel()
            await asyncio.wait({work})
            await agent.disconnect()

    async def _answer(self, agent: Any) -> None:
        while True:
            assigned = await agent.assigned(seconds=600)
            self.got[agent.assignment(assigned).input.string_value].append(agent.name)
            await agent.say(assigned, agent.result(1))

    async def homes(self, *, times: int = 2) -> dict[str, str]:
        """Has tasks of each key done, one after the other; returns the only agent of each."""
        self.got.clear()
        for _ in range(times):
            tasks = [await self.world.submit("echo", key, affinity_key=key) for key in KEYS]
            await self.done(tasks)
        split = {key: names for key, names in self.got.items() if len(set(names)) > 1}
        assert not split, split
        return {key: names[0] for key, names in self.got.items()}

    async def done(self, tasks: Sequence[Any]) -> None:
        for task in tasks:
            end = await self.world.state(task.id, "succeeded", seconds=PATIENCE_SECONDS)
            assert end.attempt == 1

    async def known(self, plane: Any, *agents: Any) -> None:
        """Waits until a control plane knows that these agents, and no others, are elsewhere."""
        peers = plane.it.plane.dispatcher._handover._peers
        wanted = {agent.agent_id for agent in agents}

        async def look() -> bool:
            await peers.want(["echo"])
            await peers.look()
            return {str(it.id) for it in peers.serving("echo", None) if it.is_working} == wanted

        await self.world.eventually(look, PATIENCE_SECONDS)

    async def idle(self, *planes: Any) -> None:
        """Waits until no slot is in use: every one that was reserved has been given back."""

        async def look() -> bool:
            return all(agent.in_use == 0 for plane in planes for agent in plane.it.plane.registry)

        await self.world.eventually(look, PATIENCE_SECONDS)


@pytest.fixture
async def fleet(
    world: Any, wire: Any, anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Fleet]:
    # On a busy machine tasks would rather go to the next than wait.
    monkeypatch.setattr(handover, "ANSWER_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(rooms, "SETTLE_SECONDS", PATIENCE_SECONDS / 3)
    async with contextlib.AsyncExitStack() as stack:
        made = Fleet(world, wire, stack)
        yield made
        for work in made.answering.values():
            work.cancel()


def of(homes: dict[str, str], *names: str) -> dict[str, str]:
    return {key: name for key, name in homes.items() if name in names}


async def test_a_key_has_one_agent_whoever_claims(world: Any, fleet: Fleet) -> None:
    one, two = await world.plane(), await world.plane()
    first = await fleet.join(one, "a", "b")
    second = await fleet.join(two, "c", "d")
    await fleet.known(one, *second)
    await fleet.known(two, *first)
    homes = await fleet.homes(times=4)
    assert of(homes, "a", "b"), "some keys are at home at the first"
    assert of(homes, "c", "d"), "and some at the second"
    await fleet.idle(one, two)


async def test_a_key_has_one_agent_from_its_first_task_on(world: Any, fleet: Fleet) -> None:
    for names in ("ab", "cd"):
        await fleet.join(await world.plane(), *names)
    before = await fleet.homes(times=1)
    assert await fleet.homes() == before


async def test_keys_stay_with_agents_whose_control_plane_is_killed(
    world: Any, fleet: Fleet
) -> None:
    one, two = await world.plane(), await world.plane()
    first, second = await fleet.join(one, "a", "b"), await fleet.join(two, "c", "d")
    await fleet.known(one, *second)
    await fleet.known(two, *first)
    before = await fleet.homes()
    await two.kill()
    without = await fleet.homes()
    assert of(without, "a", "b") == without
    assert of(before, "a", "b").items() <= without.items(), "only keys of lost agents move"
    await fleet.leave(*second)
    await fleet.join(one, "c", "d")
    assert await fleet.homes() == before


async def test_keys_stay_with_agents_whose_control_plane_stops(world: Any, fleet: Fleet) -> None:
    one, two = await world.plane(), await world.plane()
    first, second = await fleet.join(one, "a", "b"), await fleet.join(two, "c", "d")
    await fleet.known(one, *second)
    await fleet.known(two, *first)
    before = await fleet.homes()
    stopping = world.guard.spawn("stop", two.stop())
    meanwhile = await fleet.homes(times=1)
    assert of(before, "a", "b").items() <= meanwhile.items()
    await fleet.leave(*second)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await stopping
    await fleet.join(one, "c", "d")
    assert await fleet.homes() == before


async def test_only_the_keys_of_a_drained_agent_move(world: Any, fleet: Fleet) -> None:
    one, two = await world.plane(), await world.plane()
    first, second = await fleet.join(one, "a", "b"), await fleet.join(two, "c", "d")
    await fleet.known(one, *second)
    await fleet.known(two, *first)
    before = await fleet.homes()
    (drained,) = [it for it in two.it.plane.registry if str(it.id) == second[0].agent_id]
    drained.draining = True
    during = await fleet.homes()
    assert not of(during, "c")
    assert of(before, "a", "b", "d").items() <= during.items()
    await fleet.known(one, second[1])  # what is written late does not come after the next
    drained.draining = False
    await fleet.known(one, *second)
    assert await fleet.homes() == before


async def test_what_was_handed_over_goes_on_when_both_lose_their_streams(
    world: Any, fleet: Fleet
) -> None:
    one, two = await world.plane(), await world.plane()
    agents = [await fleet.connect(one, "a"), await fleet.connect(two, "b")]
    tasks = [await world.submit("echo", key, affinity_key=key) for key in KEYS]
    held: dict[str, list[Any]] = {agent.name: [] for agent in agents}

    async def hold(agent: Any) -> None:
        while True:
            held[agent.name].append(await agent.assigned(seconds=600))

    async def all_held() -> bool:
        return sum(map(len, held.values())) == len(tasks)

    holding = [world.guard.spawn("hold", hold(agent)) for agent in agents]
    await world.eventually(all_held, PATIENCE_SECONDS)
    for work in holding:
        work.cancel()
    assert min(map(len, held.values())) > 0
    await two.kill()
    for agent in agents:
        await agent.disconnect()
    for name, runs in held.items():
        agent = await fleet.connect(one, name, *((run.task_id, run.epoch) for run in runs))
        for run in runs:
            await agent.say(run, agent.result(1))
    await fleet.done(tasks)


async def test_nothing_is_lost_when_a_control_plane_dies_while_tasks_change_hands(
    world: Any, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "ANSWER_SECONDS", 0.5)  # the dead do not answer
    await world.worker(lease_seconds=3.0)
    one, two = await world.plane(lease_seconds=3.0), await world.plane(lease_seconds=3.0)
    first, second = await fleet.join(one, "a", "b"), await fleet.join(two, "c", "d")
    await fleet.known(one, *second)
    await fleet.known(two, *first)
    tasks = [
        await world.submit("echo", key, affinity_key=key, max_attempts=5)
        for number in range(5)
        for key in (f"{number}-{key}" for key in KEYS)
    ]
    killing = world.guard.spawn("kill", two.kill())  # in the midst of it
    tasks += [await world.submit("echo", key, affinity_key=key) for key in KEYS]
    async with asyncio.timeout(PATIENCE_SECONDS):
        await killing
    await fleet.leave(*second)
    for task in tasks:
        await world.state(task.id, "succeeded", seconds=PATIENCE_SECONDS)
    await fleet.idle(one)


async def test_a_home_that_is_full_passes_its_keys_on(world: Any, fleet: Fleet) -> None:
    one, two = await world.plane(), await world.plane()
    agents = [await fleet.connect(one, "a", slots=10), await fleet.connect(two, "b", slots=10)]
    taken: Counter[str] = Counter()

    async def count(agent: Any) -> None:
        while True:
            await agent.assigned(seconds=600)
            taken[agent.name] += 1

    for agent in agents:
        world.guard.spawn("count", count(agent))
    for number in range(20):
        await world.submit("echo", "key", affinity_key="key")

        async def has_come(wanted: int = number + 1) -> bool:
            return taken.total() == wanted

        await world.eventually(has_come, PATIENCE_SECONDS)
        if number == 9:  # it is not given all of its slots while the other is idle
            assert min(taken.values()) > 0, taken
            assert max(taken.values()) >= 5, taken
    assert taken == {"a": 10, "b": 10}


async def test_users_are_keys_where_the_queue_goes_by_affinity(world: Any, fleet: Fleet) -> None:
    async with world.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO queues (name, balancing, updated_at) VALUES ('echo', 'affinity', now())"
        )
    one, two = await world.plane(), await world.plane()
    for plane, name in ((one, "a"), (two, "b")):
        await fleet.join(plane, name)
        balancer = plane.it.plane.dispatcher._balancer

        async def is_chosen(balancer: Any = balancer) -> bool:
            return balancer.strategy(QueueName("echo")) == "affinity"

        await world.eventually(is_chosen, PATIENCE_SECONDS)
    for _ in range(10):
        await fleet.done([await world.submit("echo", "mine")])
    assert len(set(fleet.got["mine"])) == 1


async def test_nobody_waits_for_a_control_plane_that_hangs(
    world: Any, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "ANSWER_SECONDS", 0.2)
    plane = await world.plane()
    (here,) = await fleet.join(plane, "here")
    hanging = await fleet.stack.enter_async_context(fleet.wire(plane, name="hanging", slots=60))
    async with world.database.transaction() as tx:
        await tx.execute("INSERT INTO control_planes (id, seen_at) VALUES ('hangs', now())")
        await tx.execute(
            "UPDATE agents SET control_plane_id = 'hangs', status = 'online' WHERE id = $1::uuid",
            hanging.agent_id,
        )
    unanswered: list[Offer] = []

    async def swallow(message: Any) -> None:
        unanswered.extend(msgspec.json.decode(message.data, type=list[Offer]))

    await world.bus.listen(f"{SUBJECT}.hangs", swallow)
    await world.bus.client.flush()
    await fleet.known(plane, hanging)
    assert set((await fleet.homes()).values()) == {"here"}
    assert unanswered, "some keys belong to the other"
    late = [Lease(TaskId(offer.task_id), offer.epoch, offer.holder) for offer in unanswered]
    slots = [Slot(offer.home, "hanging") for offer in unanswered]
    assert await handing.take_over(world.database, late, slots=slots) == []
    await fleet.idle(plane)
    assert here.error is None


async def claimed(world: Any, count: int) -> tuple[list[Lease], list[Slot]]:
    for number in range(count):
        await world.submit("echo", number, affinity_key="key")
    slots = [Slot(await agent_id(world), "holder")] * count
    claims: list[Claim] = await claiming.claim(
        world.database, [QueueName("echo")], slots=slots, owner=None, lease_seconds=60
    )
    assert len(claims) == count
    return [Lease(claim.id, claim.epoch, claim.agent_id) for claim in claims], slots


async def agent_id(world: Any) -> Any:
    async with world.database.transaction() as tx:
        return await tx.fetch_value("SELECT gen_random_uuid()")


async def test_a_task_is_taken_over_or_kept_but_never_both(world: Any) -> None:
    leases, _ = await claimed(world, 40)
    slots = [Slot(await agent_id(world), "home")] * len(leases)
    for start in range(0, len(leases), 4):
        few, places = leases[start : start + 4], slots[start : start + 4]
        taken, kept = await asyncio.gather(
            handing.take_over(world.database, few, slots=places),
            handing.keep(world.database, few),
        )
        both = [claim.id for claim in taken] + list(kept)
        assert sorted(both) == sorted(lease.task_id for lease in few)
    again = await handing.take_over(world.database, leases, slots=slots)
    assert again == [], "what was kept or taken over is nobody else's"


async def test_what_is_taken_over_keeps_its_lease_and_attempt(world: Any) -> None:
    (lease,), _ = await claimed(world, 1)
    home = Slot(await agent_id(world), "home")
    (claim,) = await handing.take_over(world.database, [lease], slots=[home])
    assert (claim.id, claim.epoch, claim.attempt) == (lease.task_id, lease.epoch, 1)
    assert (claim.agent_id, claim.agent_name) == (home.agent_id, "home")
    async with world.database.transaction() as tx:
        row = await tx.fetch_one(
            "SELECT agent_id, agent_name FROM task_attempts WHERE task_id = $1", lease.task_id
        )
    assert tuple(row) == (home.agent_id, "home")

"""Whether a task goes to another control plane's agent, by what its queue goes by."""

import contextlib
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

import pytest
from agent_records import agent_record
from orchestra.features.agents import AgentId, ConnectedAgent, PeerAgent, Resources
from orchestra.features.tasks.service.dispatch import across
from orchestra.features.tasks.service.dispatch.across import Across
from orchestra.features.tasks.service.dispatch.peers import PeerPlane, Peers, RemoteAgent
from orchestra.features.tasks.types import Balancing, QueueName
from orchestra_protocol import agent_pb2 as pb

QUEUE = QueueName("echo")
PATIENCE_SECONDS = 30.0


def here(number: int, *, slots: int = 10, seconds: float = 0.0, cpu: float = 0.0) -> ConnectedAgent:
    made = ConnectedAgent(agent_record(number, slots=slots), instance_id="", slots=slots)
    made.welcomed = True
    made.hear(pb.HeartbeatMessage(resources=pb.ResourceMetrics(cpu_usage=cpu)))
    if seconds:
        made.count(succeeded=True, seconds=seconds)
    return made


def elsewhere(
    number: int, *, slots: int = 10, in_use: int = 0, seconds: float = 0.0, cpu: float = 0.0
) -> RemoteAgent:
    said = PeerAgent(
        id=AgentId(uuid.UUID(int=number)),
        control_plane_id="two",
        owner_id=None,
        capabilities=(QUEUE,),
        slots=slots,
        slots_in_use=in_use,
        is_working=True,
        latency_seconds=seconds,
        resources=Resources(cpu_usage=cpu),
    )
    return RemoteAgent(said, PeerPlane("two"))


class Situation:
    """An agent at this control plane, and some elsewhere, for a queue that goes by something."""

    def __init__(
        self, strategy: Balancing, present: ConnectedAgent, others: Sequence[RemoteAgent]
    ) -> None:
        self.strategy, self.present, self.others = strategy, present, others
        self.across = Across(cast("Peers", self), lambda queue, owner: 1)

    def serving(self, _queue: str, _owner: uuid.UUID | None) -> Sequence[RemoteAgent]:
        return self.others

    def better(self, *, in_use: int = 0, without: Sequence[AgentId] = ()) -> int | None:
        found = self.across.better(
            QUEUE,
            None,
            strategy=self.strategy,
            present=self.present,
            in_use=in_use,
            without=without,
        )
        return None if found is None else found.id.int


def test_latency_leaves_a_slow_agent_for_a_quick_one_until_that_has_enough_to_do() -> None:
    it = Situation(Balancing.LATENCY, here(1, seconds=1.0), [elsewhere(2, seconds=0.1)])
    gone = [it.better() for _ in range(10)]
    assert gone[:7] == [2] * 7
    assert gone[9] is None, "eight tasks there take as long as one here"


def test_latency_stays_with_who_is_about_as_quick() -> None:
    for seconds in (0.09, 0.1, 0.5):
        it = Situation(Balancing.LATENCY, here(1, seconds=0.1), [elsewhere(2, seconds=seconds)])
        assert it.better() is None


def test_a_task_of_milliseconds_is_not_worth_the_way() -> None:
    it = Situation(Balancing.LATENCY, here(1, seconds=0.004), [elsewhere(2, seconds=0.001)])
    assert it.better() is None


def test_nobody_is_preferred_because_nothing_is_known_of_him() -> None:
    assert Situation(Balancing.LATENCY, here(1), [elsewhere(2)]).better() is None
    it = Situation(Balancing.LATENCY, here(1, seconds=0.5), [elsewhere(2)])
    assert it.better() is None
    assert it.better(in_use=9) == 2, "it is as quick as the others, and idle"


def test_resources_leave_a_crowded_machine() -> None:
    others = [elsewhere(2, cpu=0.1), elsewhere(3, cpu=0.8)]
    assert Situation(Balancing.RESOURCES, here(1, cpu=0.9), others).better() == 2
    assert Situation(Balancing.RESOURCES, here(1, cpu=0.1), others).better() is None


def test_round_robin_goes_around_the_whole_fleet() -> None:
    it = Situation(Balancing.ROUND_ROBIN, here(1), [elsewhere(2, slots=50), elsewhere(3, slots=50)])
    assert Counter(it.better() for _ in range(30)) == {None: 10, 2: 10, 3: 10}


@pytest.mark.parametrize("strategy", list(across.CHOICES))
def test_who_has_no_room_or_has_refused_is_passed_over(strategy: Balancing) -> None:
    others = [elsewhere(number, in_use=10 * (number == 2), seconds=0.001) for number in (2, 3)]
    it = Situation(strategy, here(1, seconds=9.0, cpu=1.0), others)
    assert {it.better(in_use=9) for _ in range(6)} - {None} == {3}
    assert it.better(in_use=9, without=[others[1].id]) is None
    others[1].plane.note_silence()
    assert {it.better(in_use=9) for _ in range(3)} == {None}


@pytest.mark.parametrize("strategy", [Balancing.LEAST_BUSY, Balancing.AFFINITY])
def test_others_stay(strategy: Balancing) -> None:
    it = Situation(strategy, here(1, seconds=9.0, cpu=1.0), [elsewhere(2, seconds=0.1)])
    assert it.better(in_use=9) is None


class Fleet:
    """Agents at two control planes that answer at once, and how many tasks each has got."""

    def __init__(self, world: Any, wire: Any, stack: contextlib.AsyncExitStack) -> None:
        self.world, self.wire, self.stack = world, wire, stack
        self.planes: list[Any] = []
        self.got: Counter[str] = Counter()

    async def start(self, strategy: Balancing, *groups: Sequence[str]) -> None:
        """A control plane for each group of agents, which all know how the queue balances."""
        async with self.world.database.transaction() as tx:
            await tx.execute(
                "INSERT INTO queues (name, balancing, updated_at) VALUES ($1, $2, now())",
                QUEUE,
                strategy,
            )
        for names in groups:
            plane = await self.world.plane()
            self.planes.append(plane)
            for name in names:
                agent = await self.stack.enter_async_context(self.wire(plane, name=name, slots=30))
                await agent.connect()
                self.world.guard.spawn("answer", self._answer(agent))
        balancers = [plane.it.plane.dispatcher._balancer for plane in self.planes]

        async def is_known() -> bool:
            return all(balancer.strategy(QUEUE) is strategy for balancer in balancers)

        await self.world.eventually(is_known, PATIENCE_SECONDS)

    def takes(self, name: str, seconds: float) -> None:
        """From now on the tasks of this agent are thought to take so long."""
        for plane in self.planes:
            for agent in plane.it.plane.registry:
                if agent.name == name:
                    agent.latencies.observe(seconds)
                    agent.written_at = float("-inf")

    async def known(self) -> None:
        """Waits until every control plane knows of all agents elsewhere, and how quick they are."""
        agents = {agent.id: agent for plane in self.planes for agent in plane.it.plane.registry}

        async def look() -> bool:
            seen: defaultdict[Any, dict[Any, float]] = defaultdict(dict)
            for plane in self.planes:
                peers = plane.it.plane.dispatcher._handover._peers
                await peers.want([QUEUE])
                await peers.look()
                seen[plane.address] = {it.id: it.latency for it in peers.serving(QUEUE, None)}
            return all(
                seen[plane.address].get(name, -1.0) == agent.latency
                for plane in self.planes
                for name, agent in agents.items()
                if plane.it.plane.registry.get(name) is None
            )

        await self.world.eventually(look, PATIENCE_SECONDS)

    async def work(self, tasks: int) -> None:
        """Has tasks done, one after the other."""
        for number in range(tasks):
            task = await self.world.submit(QUEUE, number)
            end = await self.world.state(task.id, "succeeded", seconds=PATIENCE_SECONDS)
            assert end.attempt == 1

    async def _answer(self, agent: Any) -> None:
        while True:
            assigned = await agent.assigned(seconds=600)
            self.got[agent.name] += 1
            await agent.say(assigned, agent.result(1))


@pytest.fixture
async def fleet(world: Any, wire: Any, anyio_backend: str) -> AsyncGenerator[Fleet]:
    async with contextlib.AsyncExitStack() as stack:
        yield Fleet(world, wire, stack)


@pytest.mark.anyio
@pytest.mark.timeout(120)
async def test_a_slow_agent_alone_at_its_control_plane_gets_nothing_while_quick_ones_are_free(
    fleet: Fleet,
) -> None:
    await fleet.start(Balancing.LATENCY, ["slow"], ["quick", "nimble"])
    fleet.takes("slow", 5.0)
    fleet.takes("quick", 0.05)
    fleet.takes("nimble", 0.05)
    await fleet.known()
    await fleet.work(40)
    assert fleet.got["slow"] == 0, fleet.got


@pytest.mark.anyio
@pytest.mark.timeout(120)
async def test_everybody_has_his_turn_whatever_control_plane_he_is_at(fleet: Fleet) -> None:
    await fleet.start(Balancing.ROUND_ROBIN, ["a"], ["b", "c"])
    await fleet.known()
    await fleet.work(60)
    assert all(17 <= fleet.got[name] <= 23 for name in "abc"), fleet.got

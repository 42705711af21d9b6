"""Who gets the next task under each way of choosing; the way can change while a queue works."""

import uuid
from collections import Counter
from typing import Any

import pytest
from agent_records import agent_record
from orchestra.features.agents import ConnectedAgent
from orchestra.features.tasks.service.dispatch.affinity import FEW, SHARE_SECONDS, Ring
from orchestra.features.tasks.service.dispatch.balancer import Balancer
from orchestra.features.tasks.types import Balancing, QueueName
from orchestra.foundation import clock
from orchestra_protocol import agent_pb2 as pb

QUEUE = QueueName("echo")


def agent(
    number: int, *, slots: int = 10, cpu: float = 0.0, seconds: float = 0.0
) -> ConnectedAgent:
    made = ConnectedAgent(agent_record(number, slots=slots), instance_id="", slots=slots)
    made.welcomed = True
    made.hear(pb.HeartbeatMessage(resources=pb.ResourceMetrics(cpu_usage=cpu)))
    if seconds:
        made.count(succeeded=True, seconds=seconds)
    return made


def shares(strategy: Balancing, agents: list[ConnectedAgent], tasks: int) -> list[int]:
    balancer = Balancer()
    balancer.strategies = {QUEUE: strategy}
    picked = Counter(item.id for item in balancer.pick(agents, queue=QUEUE, limit=tasks))
    return [picked[item.id] for item in agents]


def test_least_busy_fills_the_same_share_of_slots() -> None:
    assert shares(Balancing.LEAST_BUSY, [agent(1, slots=10), agent(2, slots=30)], 20) == [5, 15]


def test_round_robin_gives_each_the_same_number() -> None:
    assert shares(Balancing.ROUND_ROBIN, [agent(1, slots=10), agent(2, slots=30)], 20) == [10, 10]


@pytest.mark.parametrize("strategy", [Balancing.ROUND_ROBIN, Balancing.LEAST_BUSY])
def test_tasks_that_come_one_by_one_go_to_each_in_turn(strategy: Balancing) -> None:
    balancer, agents = Balancer(), [agent(number) for number in (1, 2, 3)]
    balancer.strategies = {QUEUE: strategy}
    got: list[uuid.UUID] = []
    for _ in range(6):
        picked = balancer.pick(agents, queue=QUEUE)  # all free slots, for one task
        for item in picked:
            item.in_use -= 1
        balancer.note([picked[0].id])
        got.append(picked[0].id)
    assert Counter(got) == {item.id: 2 for item in agents}


def test_resources_go_where_most_is_left() -> None:
    idle, busy = shares(Balancing.RESOURCES, [agent(1, cpu=0.1), agent(2, cpu=0.8)], 10)
    assert idle > 7
    assert busy > 0


def test_latency_prefers_who_has_been_quick_and_lets_nobody_starve() -> None:
    agents = [agent(1, slots=40, seconds=0.01), agent(2, slots=40, seconds=0.1)]
    quick, slow = shares(Balancing.LATENCY, agents, 40)
    assert quick > 25
    assert slow > 0


def test_an_agent_that_fails_at_once_does_not_look_quick() -> None:
    failing = agent(1, seconds=1.0)
    failing.count(succeeded=False, seconds=0.001)
    assert failing.latency == 1.0
    failing.count(succeeded=False, seconds=2.0)
    assert failing.latency == 2.0


def test_nobody_gets_more_than_free_slots_whatever_the_queue_goes_by() -> None:
    for strategy in Balancing:
        assert shares(strategy, [agent(1, slots=3), agent(2, slots=4)], 64) == [3, 4]
        assert shares(strategy, [], 64) == []


def test_a_key_stays_with_its_agent_and_moves_only_with_it() -> None:
    agents = [agent(number) for number in range(1, 11)]
    keys = [f"conversation-{number}" for number in range(500)]

    def homes(ring: Ring) -> dict[str, Any]:
        return {key: home.id for key in keys if (home := ring.home(key, present=agents[0]))}

    before = homes(Ring(agents))
    assert before == homes(Ring(agents))
    assert min(Counter(before.values()).values()) > 10, "they are spread"
    after = homes(Ring([item for item in agents if item.id != agents[4].id]))
    moved = {key for key in keys if before[key] != after[key]}
    assert moved == {key for key in keys if before[key] == agents[4].id}


@pytest.mark.parametrize(("count", "known_at_once"), [(FEW, True), (FEW + 1, False)])
def test_the_share_of_each_of_thousands_is_not_added_up_for_every_task(
    monkeypatch: pytest.MonkeyPatch, count: int, known_at_once: bool
) -> None:
    now = 100.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    agents = [agent(number, slots=1) for number in range(1, count + 1)]
    ring = Ring(agents)
    assert ring.most(agents[0]) == 0
    for each in agents:
        each.in_use = 1
    assert ring.most(agents[0]) == (2 if known_at_once else 0)
    now += SHARE_SECONDS
    assert ring.most(agents[0]) == 2


def test_an_agent_with_too_much_to_do_passes_its_keys_on() -> None:
    agents = [agent(number, slots=4) for number in (1, 2, 3)]
    ring = Ring(agents)
    home = ring.home("key", present=agents[0])
    assert home is not None
    home.in_use = 4
    other = ring.home("key", present=next(item for item in agents if item is not home))
    assert other is not None
    assert other is not home


def test_where_affinity_is_chosen_the_user_is_the_key() -> None:
    balancer, user = Balancer(), uuid.UUID(int=9)
    assert balancer.key(QUEUE, None, user) is None
    assert balancer.key(QUEUE, "mine", user) == "mine"
    balancer.strategies = {QUEUE: Balancing.AFFINITY}
    assert balancer.key(QUEUE, None, user) == str(user)
    assert balancer.key(QUEUE, "mine", user) == "mine"


@pytest.mark.anyio
async def test_what_a_queue_goes_by_can_be_changed_while_it_works(world: Any, wire: Any) -> None:
    plane = await world.plane()
    balancer = plane.it.plane.dispatcher._balancer

    async def goes_by(strategy: Balancing) -> bool:
        return balancer.strategy(QUEUE) is strategy

    async with (
        wire(plane, name="small", slots=2) as small,
        wire(plane, name="large", slots=10) as large,
    ):
        await small.connect()
        await large.connect()
        for strategy in (Balancing.ROUND_ROBIN, Balancing.LATENCY, Balancing.AFFINITY):
            async with world.database.transaction() as tx:
                await tx.execute(
                    """
                    INSERT INTO queues (name, balancing, updated_at) VALUES ('echo', $1, now())
                    ON CONFLICT (name) DO UPDATE SET balancing = $1
                    """,
                    strategy,
                )
            await world.eventually(lambda strategy=strategy: goes_by(strategy))
            tasks = [await world.submit("echo", number) for number in range(4)]
            answering = [world.guard.spawn("answer", _answer(each)) for each in (small, large)]
            for task in tasks:
                await world.state(task.id, "succeeded")
            for answers in answering:
                answers.cancel()


async def _answer(each: Any) -> None:
    while True:
        await each.say(await each.assigned(), each.result(1))

"""Fair shares between users, priorities across queues, and the return into line."""

import uuid
from collections import Counter
from typing import Any

import pytest
from orchestra.features.tasks import NewTask, Priority
from orchestra.features.tasks.repository import claiming, fairness, turns
from orchestra.features.tasks.repository.claiming import Claim, Slot
from orchestra.features.tasks.service.queues.delayed import Delayed
from orchestra.features.tasks.types import QueueName

pytestmark = pytest.mark.anyio

NOBODY = uuid.UUID(int=7)


async def submit(world: Any, actor: Any, count: int, capability: str = "echo", **more: Any) -> Any:
    new = [NewTask(input=number, capability=capability, **more) for number in range(count)]
    tasks: list[Any] = []
    for start in range(0, count, 1000):
        tasks += await world.submitter.submit_all(actor, new[start : start + 1000])
    return tasks


async def claim(world: Any, count: int = 1, *queues: str, **more: Any) -> list[Claim]:
    return await claiming.claim(
        world.database,
        [QueueName(queue) for queue in queues or ("echo",)],
        slots=[Slot(NOBODY, "agent")] * count,
        owner=more.get("owner"),
        lease_seconds=30,
    )


async def weigh(world: Any, actor: Any, weight: float) -> None:
    async with world.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO user_weights (user_id, weight) VALUES ($1, $2)", actor.owner, weight
        )


async def test_ten_thousand_tasks_delay_anothers_single_task_by_one(world: Any) -> None:
    busy, single = await world.member("busy"), await world.member("single")
    await submit(world, busy.actor, 10_000)
    for _ in range(3):
        assert [item.user_id for item in await claim(world)] == [busy.actor.owner]
    (wanted,) = await submit(world, single.actor, 1)
    order = [(await claim(world))[0].id for _ in range(2)]
    assert wanted.id in order, "at most one of the others goes first"


async def test_users_with_much_to_do_take_turns(world: Any) -> None:
    users = [await world.member(name) for name in ("one", "two", "three")]
    for user in users:
        await submit(world, user.actor, 50)
    taken = [(await claim(world))[0].user_id for _ in range(30)]
    assert set(Counter(taken).values()) == {10}
    assert all(len(set(taken[start : start + 3])) == 3 for start in range(0, 30, 3))


async def test_weights_of_three_to_one_give_three_to_one(world: Any) -> None:
    heavy, light = await world.member("heavy"), await world.member("light")
    await weigh(world, heavy.actor, 3.0)
    await submit(world, light.actor, 100)
    await submit(world, heavy.actor, 100)
    taken = Counter([item.user_id for _ in range(10) for item in await claim(world, 4)])
    assert taken[heavy.actor.owner] == pytest.approx(30, abs=1)
    assert taken[light.actor.owner] == pytest.approx(10, abs=1)


async def test_a_user_who_was_away_has_saved_nothing_up(world: Any) -> None:
    here, away = await world.member("here"), await world.member("away")
    await submit(world, away.actor, 1)
    await submit(world, here.actor, 100)
    assert len(await claim(world, 60)) == 60
    await submit(world, away.actor, 20)
    taken = Counter([(await claim(world))[0].user_id for _ in range(20)])
    assert taken[away.actor.owner] == pytest.approx(10, abs=1)


async def test_the_most_urgent_of_all_queues_goes_first(world: Any) -> None:
    (normal,) = await submit(world, world.actor, 1, "a")
    (critical,) = await submit(world, world.actor, 1, "b", priority=Priority.CRITICAL)
    (low,) = await submit(world, world.actor, 1, "b", priority=Priority.LOW)
    taken = [(await claim(world, 1, "a", "b"))[0].id for _ in range(3)]
    assert taken == [critical.id, normal.id, low.id]


async def test_queues_of_equal_priority_take_turns(world: Any) -> None:
    await submit(world, world.actor, 40, "a")
    await submit(world, world.actor, 40, "b")
    taken = Counter([(await claim(world, 1, "a", "b"))[0].queue for _ in range(20)])
    assert taken == {"a": 10, "b": 10}


async def test_an_agent_is_given_the_most_urgent_of_all_it_can_do(world: Any, wire: Any) -> None:
    wanted = [("a", Priority.NORMAL), ("a", Priority.NORMAL), ("b", Priority.CRITICAL)]
    wanted += [("c", Priority.LOW), ("b", Priority.HIGH), ("c", Priority.CRITICAL)]
    tasks = [await world.submit(name, 1, priority=priority) for name, priority in wanted]
    async with wire(await world.plane(), slots=1, capabilities=("a", "b", "c")) as agent:
        await agent.connect()
        order: list[str] = []
        for _ in tasks:
            assigned = await agent.assigned()
            order.append(assigned.task_id)
            await agent.say(assigned, agent.result(1))
    assert order == [str(tasks[place].id) for place in (2, 5, 4, 0, 1, 3)]


async def test_a_person_s_own_agent_takes_the_most_urgent_of_that_person(world: Any) -> None:
    mine, other = await world.member("mine"), await world.member("other")
    await submit(world, other.actor, 30, priority=Priority.CRITICAL)
    await submit(world, mine.actor, 2)
    (urgent,) = await submit(world, mine.actor, 1, priority=Priority.HIGH)
    claims = await claim(world, 5, owner=mine.actor.owner)
    assert [item.user_id for item in claims] == [mine.actor.owner] * 3
    assert claims[0].id == urgent.id


async def test_ten_thousand_tasks_that_come_back_delay_nobody(world: Any) -> None:
    busy, single = await world.member("busy"), await world.member("single")
    tasks = await submit(world, busy.actor, 2_000)
    while await claim(world, 64):
        pass
    async with world.database.transaction() as tx:
        await tx.execute(
            "UPDATE tasks SET state = 'queued', epoch = epoch + 1, agent_id = NULL,"
            " run_after = now()"
        )
    delayed = Delayed(world.database, world.bus)
    while await delayed.place_due():
        pass
    (wanted,) = await submit(world, single.actor, 1)
    order = [(await claim(world))[0].id for _ in range(2)]
    assert wanted.id in order
    assert len(tasks) == 2_000


async def test_what_was_begun_goes_before_what_was_not(world: Any) -> None:
    first, *_ = await submit(world, world.actor, 100)
    assert (await claim(world))[0].id == first.id
    async with world.database.transaction() as tx:
        await tx.execute(
            "UPDATE tasks SET state = 'queued', epoch = epoch + 1 WHERE id = $1", first.id
        )
        await fairness.place(tx, [first.id])
    order = [(await claim(world))[0].id for _ in range(2)]
    assert first.id in order, "not behind the other ninety-nine"


async def test_cancelled_tasks_cost_their_user_nothing(world: Any) -> None:
    changed, other = await world.member("changed"), await world.member("other")
    await submit(world, changed.actor, 1_000)
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE tasks SET state = 'cancelled', finished_at = now()")
    await Delayed(world.database, world.bus).tidy()
    await submit(world, other.actor, 50)
    (wanted,) = await submit(world, changed.actor, 1)
    order = [(await claim(world))[0].id for _ in range(2)]
    assert wanted.id in order


async def test_the_same_wish_again_costs_nothing(world: Any) -> None:
    eager, other = await world.member("eager"), await world.member("other")
    for _ in range(20):
        new = NewTask(input=1, capability="echo", idempotency_key="once")
        await world.submitter.submit(eager.actor, new)
    await submit(world, other.actor, 10)
    await submit(world, eager.actor, 1)
    taken = [(await claim(world))[0].user_id for _ in range(4)]
    assert Counter(taken)[eager.actor.owner] == 2


async def test_shares_that_say_nothing_are_forgotten(world: Any) -> None:
    users = [await world.member(name) for name in ("one", "two", "three")]
    for user in users:
        await submit(world, user.actor, 1)
    await submit(world, users[0].actor, 5)
    while await claim(world, 10):
        pass
    await Delayed(world.database, world.bus).tidy()
    async with world.database.transaction() as tx:
        left = await tx.fetch("SELECT user_id FROM fair_shares")
    assert [row["user_id"] for row in left] == [users[0].actor.owner]


async def test_queues_that_were_empty_for_a_day_begin_anew(world: Any) -> None:
    await submit(world, world.actor, 5)
    await submit(world, world.actor, 5, "other")
    assert len(await claim(world, 10, "echo", "other")) == 10
    await submit(world, world.actor, 1, "other")
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE fair_clocks SET moved_at = now() - interval '25 hours'")
    await Delayed(world.database, world.bus).tidy()
    async with world.database.transaction() as tx:
        shares = await tx.fetch("SELECT queue FROM fair_shares")
        clocks = await tx.fetch("SELECT queue FROM fair_clocks")
    assert [row["queue"] for row in shares] == ["other"]
    assert [row["queue"] for row in clocks] == ["other"]


async def test_a_delayed_task_starts_on_time_and_no_claim_sees_it_before(
    world: Any, wire: Any
) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        await agent.say(assigned, agent.failure(1, "busy", retryable=True))
        assert await claim(world) == []
        again = await agent.assigned()
        assert again.task_id == str(task.id)
    async with world.database.transaction() as tx:
        rows = await tx.fetch(
            "SELECT started_at, ended_at FROM task_attempts WHERE task_id = $1 ORDER BY epoch",
            task.id,
        )
    pause = (rows[1]["started_at"] - rows[0]["ended_at"]).total_seconds()
    assert 0.5 <= pause <= 1.6, "half a second to a second, and at most half of one late"


async def test_tasks_in_ten_queues_delay_anothers_single_tasks_by_one_each(world: Any) -> None:
    busy, single = await world.member("busy"), await world.member("single")
    await weigh(world, busy.actor, 1.0)
    queues = [f"c{number}" for number in range(10)]
    for queue in queues:
        await submit(world, busy.actor, 8, queue)
    for _ in range(5):
        (wanted,) = await submit(world, single.actor, 1, "c0")
        order = [(await claim(world, 1, *queues))[0].id for _ in range(2)]
        assert wanted.id in order, "at most one of the others goes first"


async def test_weights_count_across_queues(world: Any) -> None:
    heavy, light = await world.member("heavy"), await world.member("light")
    await weigh(world, heavy.actor, 3.0)
    await submit(world, light.actor, 40, "a")
    await submit(world, heavy.actor, 40, "b")
    await submit(world, heavy.actor, 40, "c")
    taken = Counter([item.user_id for _ in range(10) for item in await claim(world, 4, *"abc")])
    assert taken[heavy.actor.owner] == pytest.approx(30, abs=1)
    assert taken[light.actor.owner] == pytest.approx(10, abs=1)


async def test_turns_between_queues_are_forgotten_when_they_say_nothing_more(world: Any) -> None:
    users = [await world.member(name) for name in ("one", "two")]
    await submit(world, users[0].actor, 1, "a")
    await submit(world, users[1].actor, 5, "b")
    assert len(await claim(world, 6, "a", "b")) == 6
    await Delayed(world.database, world.bus).tidy()
    async with world.database.transaction() as tx:
        left = await tx.fetch("SELECT user_id FROM fair_turns ORDER BY user_id")
    assert {row["user_id"] for row in left} == {turns.LAST, users[1].actor.owner}

"""Limits of use and of rate: exact, whoever claims; and what they hold back goes on in time."""

import asyncio
import uuid
from collections import Counter
from typing import Any

import pytest
from orchestra.features.tasks import NewTask
from orchestra.features.tasks.repository import claiming, limits
from orchestra.features.tasks.repository.claiming import Slot
from orchestra.features.tasks.repository.limits import Limit, LimitScope
from orchestra.features.tasks.service.dispatch.limited import Found, LimitedClaims
from orchestra.features.tasks.types import QueueName
from orchestra.foundation import ids
from orchestra_sdk import Agent

pytestmark = pytest.mark.anyio

NOBODY = uuid.UUID(int=7)


async def limit(world: Any, scope: str = "queue", **more: Any) -> Limit:
    values: dict[str, Any] = {"queue": "echo", "user_id": None, "key_pointer": None}
    values |= {"key_path": None, "max_running": None}
    values |= {"rate": None, "per_seconds": None, "burst": None} | more
    async with world.database.transaction() as tx:
        return await limits.add(tx, Limit(id=ids.new_id(), scope=LimitScope(scope), **values))


async def submit(world: Any, *inputs: Any, capability: str = "echo", actor: Any = None) -> Any:
    new = [NewTask(input=given, capability=capability) for given in inputs]
    return await world.submitter.submit_all(actor or world.actor, new)


async def claim(claims: LimitedClaims, count: int, *queues: str) -> Found:
    slots = [Slot(NOBODY, "agent")] * count
    return await claims.claim(
        [QueueName(queue) for queue in queues or ("echo",)],
        slots=slots,
        owner=None,
        lease_seconds=30,
    )


async def end(world: Any, *task_ids: uuid.UUID) -> None:
    async with world.database.transaction() as tx:
        await tx.execute(
            "UPDATE tasks SET state = 'succeeded', finished_at = now() WHERE id = ANY($1)",
            list(task_ids),
        )


async def test_no_more_run_than_the_limit_of_the_queue(world: Any) -> None:
    await limit(world, max_running=2)
    await submit(world, *range(5))
    claims = LimitedClaims(world.database)
    first = await claim(claims, 5)
    assert (len(first.claims), first.has_blocked) == (2, True)
    assert (await claim(claims, 5)).claims == []
    await end(world, first.claims[0].id)
    assert len((await claim(claims, 5)).claims) == 1


async def test_the_claim_without_limits_leaves_limited_queues_alone(world: Any) -> None:
    await limit(world, max_running=2)
    await submit(world, 1)
    slots = [Slot(NOBODY, "agent")]
    taken = await claiming.claim(
        world.database, [QueueName("echo")], slots=slots, owner=None, lease_seconds=30
    )
    assert taken == []


async def test_a_limit_of_each_user_holds_back_no_other(world: Any) -> None:
    await limit(world, "user", queue=None, max_running=1)
    one, two = await world.member("one"), await world.member("two")
    await submit(world, *range(300), actor=one.actor)
    await submit(world, *range(3), actor=two.actor)
    claims = LimitedClaims(world.database)
    found = await claim(claims, 5)
    assert {item.user_id for item in found.claims} == {one.actor.owner, two.actor.owner}
    assert len(found.claims) == 2


async def test_a_hot_key_holds_back_no_other(world: Any) -> None:
    await limit(world, "key", key_pointer="/host", key_path=["host"], max_running=3)
    await submit(world, *({"host": "hot", "n": number} for number in range(400)))
    await submit(world, {"host": "cold"}, {"nothing": 1}, "no object at all")
    claims = LimitedClaims(world.database)
    found = await claim(claims, 10)
    taken: list[Any] = [item.input for item in found.claims]
    assert taken[:3] == [{"host": "hot", "n": number} for number in range(3)]
    assert taken[3:] == [{"host": "cold"}, {"nothing": 1}, "no object at all"]
    async with world.database.transaction() as tx:
        aside = await tx.fetch_value("SELECT count(*) FROM tasks WHERE blocked_on IS NOT NULL")
    assert aside == 397
    hot = [item for item in found.claims if item.input == {"host": "hot", "n": 0}]
    await end(world, hot[0].id)
    assert [item.input for item in (await claim(claims, 10)).claims] == [{"host": "hot", "n": 3}]


async def test_a_rate_is_kept_by_the_clock_of_the_database(world: Any) -> None:
    await limit(world, rate=5.0, per_seconds=1.0, burst=2.0)
    await submit(world, *range(6))
    claims = LimitedClaims(world.database)
    first = await claim(claims, 6)
    assert len(first.claims) == 2
    assert first.retry_seconds == pytest.approx(0.2, abs=0.1)
    taken: list[Any] = list(first.claims)

    async def all_taken() -> bool:
        taken.extend((await claim(claims, 6)).claims)
        return len(taken) == 6

    await world.eventually(all_taken)
    async with world.database.transaction() as tx:
        seconds = await tx.fetch_value(
            "SELECT extract(epoch FROM max(started_at) - min(started_at))::float8 FROM tasks"
        )
    assert 0.7 <= seconds <= 1.5, "four at five a second"


async def test_limits_are_exact_under_two_control_planes(world: Any) -> None:
    await limit(world, max_running=4)
    running, most = 0, 0

    def make(name: str) -> Agent:
        agent = Agent(name, slots=20)

        @agent.task("echo")
        async def echo(ctx: Any, number: int) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1
            return number

        return agent

    planes = [await world.plane(), await world.plane()]
    async with world.sdk(make("one"), planes[0].address), world.sdk(make("two"), planes[1].address):
        await submit(world, *range(120))

        async def all_done() -> bool:
            async with world.database.transaction() as tx:
                return not await tx.fetch_value("SELECT 1 FROM tasks WHERE finished_at IS NULL")

        await world.eventually(all_done, 18)
    assert most == 4


async def test_concurrent_claims_never_exceed_a_limit(world: Any) -> None:
    await limit(world, "key", key_pointer="", key_path=[], max_running=2)
    await limit(world, max_running=7)
    await submit(world, *([1, 2, 3, 4, 5] * 20))
    planes = [LimitedClaims(world.database) for _ in range(5)]
    found = await asyncio.gather(*(claim(plane, 3) for plane in planes for _ in range(3)))
    taken = [item for one in found for item in one.claims]
    assert len(taken) == 7
    assert max(Counter(item.input for item in taken).values()) <= 2


async def test_a_queue_with_a_rate_goes_on_by_itself(world: Any, wire: Any) -> None:
    await limit(world, rate=20.0, per_seconds=1.0, burst=1.0)
    await submit(world, *range(5))
    async with wire(await world.plane()) as agent:
        await agent.connect()
        for _ in range(5):
            await agent.say(await agent.assigned(seconds=3), agent.result(1))

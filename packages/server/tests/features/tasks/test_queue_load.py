"""Many at once: no deadlock, nothing lost, limits kept; and claims that stay short."""

import asyncio
import random
import re
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orchestra.features.events import Outbox
from orchestra.features.tasks import NewTask, Priority
from orchestra.features.tasks.repository import bulk, claiming, ending, fairness, timing
from orchestra.features.tasks.repository.claiming import Claim, Slot
from orchestra.features.tasks.service.dispatch.limited import LimitedClaims
from orchestra.features.tasks.service.ends.ending import Ending, end_all
from orchestra.features.tasks.service.queues.delayed import Delayed
from orchestra.features.tasks.types import QueueName, TaskProblem, Trigger
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.database import Database

pytestmark = pytest.mark.anyio

AGENT = uuid.UUID(int=7)
QUEUES = [QueueName(name) for name in ("a", "b", "c")]
LIMITED = QueueName("c")
SCAN = r"Index Scan using tasks_waiting on tasks.* \(actual rows=2(\.00)? loops=1\)"


class Load:
    """Submitters, claimers, enders and the rest, on connections of their own, without a pause."""

    def __init__(self, world: Any, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)  # noqa: S311 - a test's choice of work
        self.outbox = Outbox(world.bus, world.database)
        self.claims: list[Claim] = []
        self.submitted = 0
        self.ended = 0

    async def submit(self, database: Database) -> None:
        actor = self.random.choice([self.world.actor, *self.others])
        new = [
            NewTask(
                input=self.random.randrange(5),
                capability=self.random.choice(QUEUES),
                priority=self.random.choice(list(Priority)),
            )
            for _ in range(self.random.randint(1, 30))
        ]
        if self.random.random() < 0.5:
            await asyncio.gather(*(self.world.submitter.submit(actor, item) for item in new))
        else:
            await self.world.submitter.submit_all(actor, new)
        self.submitted += len(new)

    async def claim(self, database: Database) -> None:
        queues = self.random.sample(QUEUES, self.random.randint(1, 3))
        slots = [Slot(AGENT, "agent")] * self.random.randint(1, 20)
        if LIMITED in queues:
            found = await LimitedClaims(database).claim(
                queues, slots=slots, owner=None, lease_seconds=60
            )
            self.claims += found.claims
        else:
            claims = await claiming.claim(
                database, queues, slots=slots, owner=None, lease_seconds=60
            )
            self.claims += claims

    async def end(self, database: Database) -> None:
        count = self.random.randint(1, 25)
        batch, self.claims = self.claims[:count], self.claims[count:]
        endings = [self._ending(claim) for claim in batch]
        async with database.transaction() as tx:
            outcomes = await end_all(tx, self.outbox, self.world.bus, endings)
        assert not [item for item in outcomes if isinstance(item, Exception)]
        self.ended += sum(ending.trigger is Trigger.RESULT for ending in endings)

    def _ending(self, claim: Claim) -> Ending:
        if self.random.random() < 0.7:
            return Ending(
                task_id=claim.id,
                epoch=claim.epoch,
                trigger=Trigger.RESULT,
                agent_id=AGENT,
                result_json=b"1",
            )
        return Ending(
            task_id=claim.id,
            epoch=claim.epoch,
            trigger=Trigger.RETRY,
            problem=TaskProblem("busy", "Later."),
            agent_id=AGENT if self.random.random() < 0.5 else None,
        )

    async def move(self, database: Database) -> None:
        async with database.transaction() as tx:
            rows = await tx.fetch("SELECT id FROM tasks WHERE state = 'queued' LIMIT 20")
            locked = await ending.lock(tx, [row["id"] for row in rows])
            waiting = [task.id for task in locked.values() if task.life.state == "queued"]
            await bulk.set_priority(tx, waiting, self.random.choice(list(Priority)))
            await fairness.place(tx, waiting)

    async def tidy(self, database: Database) -> None:
        delayed = Delayed(database, self.world.bus)
        await delayed.place_due()
        await delayed.tidy()

    async def run(self) -> None:
        alice, bob = self.random.randrange(10**9), self.random.randrange(10**9)
        self.others = [(await self.world.member(f"user-{number}")).actor for number in (alice, bob)]
        urls = self.world.settings.database_url
        databases = [await Database.connect(urls, pool_size=3) for _ in range(3)]
        work = [self.submit, self.claim, self.claim, self.end, self.end, self.move, self.tidy]
        guard = Guard()
        try:
            running = [
                guard.spawn(f"load {place}", self._repeat(step, databases[place % 3]))
                for place, step in enumerate(work)
            ]
            await asyncio.wait_for(asyncio.gather(*running), 40)
        finally:
            await guard.stop()
            for database in databases:
                await database.close()
            await self.outbox.close()

    @staticmethod
    async def _repeat(step: Any, database: Database) -> None:
        for _ in range(12):
            await step(database)


async def test_no_two_wait_for_each_other_and_nothing_is_lost(world: Any) -> None:
    async with world.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO limits (id, scope, queue, max_running, created_at)"
            " VALUES ($1, 'queue', $2, 5, now())",
            uuid.uuid4(),
            LIMITED,
        )
    seeds: list[int] = []

    @settings(max_examples=4, deadline=None, derandomize=True, database=None)
    @given(st.integers(0, 2**32))
    def choose(seed: int) -> None:
        seeds.append(seed)

    choose()
    submitted = 0
    for seed in seeds:
        load = Load(world, seed)
        await load.run()  # a deadlock would be raised as Unavailable
        submitted += load.submitted
        async with world.database.transaction() as tx:
            held = await tx.fetch_value(
                "SELECT count(*) FROM tasks WHERE queue = $1 AND state = 'running'", LIMITED
            )
            total = await tx.fetch_value("SELECT count(*) FROM tasks")
            lost = await tx.fetch_value(
                "SELECT count(*) FROM tasks WHERE state NOT IN ('queued', 'running', 'succeeded',"
                " 'failed')"
            )
        assert held <= 5
        assert (total, lost) == (submitted, 0)


_FILL = """
INSERT INTO tasks (id, queue, capability, priority, state, user_id, input, max_attempts,
    queue_timeout_seconds, run_timeout_seconds, progress_timeout_seconds, created_at, fair_tag,
    run_after)
SELECT gen_random_uuid(), 'echo', 'echo', 1, 'queued', $1, '1', 3, 9, 9, 9, now(), number,
    now() + make_interval(secs => $3)
FROM generate_series(1, $2::integer) AS number
"""


async def fill(world: Any, count: int, *, delay: float | None = None) -> None:
    async with world.database.transaction() as tx:
        await tx.execute(_FILL, world.actor.owner, count, delay)


async def plan(world: Any) -> str:
    async with world.database.transaction() as tx:
        await tx.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await tx.execute(f"PREPARE claim_one AS {claiming.CLAIM_ALL}")
        rows = await tx.fetch(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE claim_one"
            f" (ARRAY['echo'], 2, ARRAY['{AGENT}', '{AGENT}']::uuid[],"
            " ARRAY['x', 'x'], 15)"
        )
        await tx.execute("DEALLOCATE claim_one")
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("are_known", [False, True])
async def test_a_claim_reads_what_it_takes_when_a_hundred_thousand_wait(
    world: Any, are_known: bool
) -> None:
    await fill(world, 100_000)
    if are_known:
        await world.database.fetch("ANALYZE tasks")
    said = await plan(world)
    assert re.search(SCAN, said), said
    assert "Seq Scan on tasks" not in said
    rows = [float(found) for found in re.findall(r"actual rows=([0-9.]+)", said)]
    assert max(rows) <= 4, said


async def test_a_hundred_thousand_delayed_tasks_cost_a_claim_nothing(world: Any) -> None:
    await fill(world, 100_000, delay=3600.0)
    await fill(world, 3)
    await world.database.fetch("ANALYZE tasks")
    said = await plan(world)
    assert re.search(SCAN, said), said
    assert "Rows Removed by Filter" not in said
    async with world.database.transaction() as tx:
        assert await fairness.place_due(tx, limit=10) == []
    times = await timing.look(world.database, margin_seconds=15, cancel_grace_seconds=30)
    assert 3500 < (times.to_placing or 0) <= 3600
    assert (times.is_overdue, times.to_waking) == (False, None)

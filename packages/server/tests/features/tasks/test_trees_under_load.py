"""Many trees at once, half of them cancelled at any moment: each comes to its end, in order."""

import asyncio
import random
import uuid
from functools import partial
from typing import Any

import pytest
from orchestra.features.events import Outbox
from orchestra.features.tasks import cancel
from orchestra_sdk import Agent

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

ROOTS, WIDTH = 12, 3
SEED = 20261122


def family() -> Agent:
    agent = Agent("family", slots=16)

    @agent.task("root")
    async def root(ctx: Any, number: int) -> int:
        calls = [ctx.call("middle", [number, place]) for place in range(WIDTH)]
        return len(await ctx.gather(*calls, return_exceptions=True))

    @agent.task("middle")
    async def middle(ctx: Any, place: list[int]) -> int:
        await ctx.sleep(0.05)
        return int(await ctx.run("leaf", place))

    @agent.task("leaf")
    async def leaf(ctx: Any, place: list[int]) -> int:
        await asyncio.sleep(0.05)
        return sum(place)

    return agent


async def test_trees_that_are_cancelled_at_any_moment_come_to_their_ends(world: Any) -> None:
    chance = random.Random(SEED)  # noqa: S311 - the same chances each time
    await world.worker(cancel_grace_seconds=5.0)
    outbox = Outbox(world.bus, world.database)
    plane = await world.plane()
    async with world.sdk(family(), plane.address):
        roots = [await world.submit("root", number) for number in range(ROOTS)]
        unwanted = chance.sample(roots, ROOTS // 2)
        for root in unwanted:
            await world.eventually(
                partial(_has_begun, world, root.id, chance.randint(0, WIDTH)), 30
            )
            async with world.database.transaction() as tx:
                await cancel(tx, outbox, world.bus, world.actor, root.id, "chance")

        async def all_over() -> bool:
            async with world.database.transaction() as tx:
                left = await tx.fetch_value(
                    "SELECT count(*) FROM tasks WHERE finished_at IS NULL OR finish_pending"
                )
            return left == 0

        await world.eventually(all_over, 45)
    await outbox.close()
    for root in roots:
        if root not in unwanted:
            done = await world.task(root.id)
            assert (done.state, done.result) == ("succeeded", WIDTH)
    async with world.database.transaction() as tx:
        late = await tx.fetch(
            """
            SELECT tasks.id FROM tasks JOIN tasks AS root ON root.id = tasks.root_id
            WHERE root.state = 'cancelled' AND tasks.finished_at > root.finished_at
            """
        )
        pending = await tx.fetch_value("SELECT count(*) FROM tasks WHERE finish_pending")
    assert not late, "a root is cancelled only after everything below it"
    assert pending == 0


async def _has_begun(world: Any, root_id: uuid.UUID, count: int) -> bool:
    """Whether so many descendants of a root are there, or it is over."""
    async with world.database.transaction() as tx:
        return bool(
            await tx.fetch_value(
                """
                SELECT count(*) >= $2 OR bool_or(finished_at IS NOT NULL AND id = $1)
                FROM tasks WHERE root_id = $1
                """,
                root_id,
                count,
            )
        )

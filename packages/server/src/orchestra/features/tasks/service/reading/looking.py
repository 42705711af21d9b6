"""What people see of trees, steps and cancellations of tasks that they may see."""

import uuid
from datetime import datetime

from orchestra.features.tasks.errors import NotCancelled
from orchestra.features.tasks.repository import steps, trees, waiting
from orchestra.features.tasks.service.reading.reading import visible
from orchestra.features.tasks.types import (
    Cancellation,
    Place,
    Step,
    Stopped,
    TreeNode,
    WaitsFor,
)
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Transaction

MOST_NAMES = 100


async def tree(
    tx: Transaction,
    actor: Actor,
    task_id: uuid.UUID,
    *,
    after: tuple[int, uuid.UUID] | None,
    limit: int,
) -> list[TreeNode]:
    """One page of the task and all below it, level by level, and one more if there is."""
    await visible(tx, actor, task_id)
    return await trees.nodes(tx, task_id, after=after, limit=limit)


async def steps_of(
    tx: Transaction,
    actor: Actor,
    task_id: uuid.UUID,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Step]:
    """One page of a task's steps in the order in which they began, and one more if there is."""
    await visible(tx, actor, task_id)
    return await steps.page(tx, task_id, after=after, limit=limit)


async def cancellation(
    tx: Transaction, actor: Actor, task_id: uuid.UUID, *, after: uuid.UUID | None, limit: int
) -> tuple[Cancellation, list[Stopped]]:
    """Who has stopped the task, and one page of what was stopped with it; raises NotCancelled."""
    await visible(tx, actor, task_id)
    record = await trees.cancellation(tx, task_id)
    if record is None:
        raise NotCancelled
    return record, await trees.stopped(tx, record.top_id, after=after, limit=limit)


async def situation(tx: Transaction, task_id: uuid.UUID) -> tuple[Place, WaitsFor | None]:
    """Where a task stands in its tree, and what it waits for if it is waiting."""
    place = await trees.place(tx, task_id)
    return place, await waiting.waits_for(tx, task_id, most=MOST_NAMES)

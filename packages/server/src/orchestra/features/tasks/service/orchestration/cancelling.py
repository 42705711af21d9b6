"""Stops a task and everything below it: at once what waits, through its agent what runs."""

import uuid

from orchestra.features import audit
from orchestra.features.events import Outbox
from orchestra.features.tasks.repository import ending as repository
from orchestra.features.tasks.service.orchestration.tree import Stop, stop_all
from orchestra.features.tasks.service.reading.reading import visible
from orchestra.features.tasks.types import Task, TaskId, TaskState
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Transaction
from orchestra.foundation.messaging import Bus

MAX_REASON = 500


async def cancel(
    tx: Transaction, outbox: Outbox, bus: Bus, actor: Actor, task_id: uuid.UUID, reason: str = ""
) -> Task:
    """Asks a task to stop; asking again, or after its end, changes nothing.

    Raises TaskNotFound for a task that the actor may not see.
    """
    reason = reason[:MAX_REASON]
    top = (await visible(tx, actor, task_id)).id
    locked = (await repository.lock(tx, [top])).get(top)
    if locked is None or locked.life.is_over or locked.life.state is TaskState.CANCELLING:
        return await visible(tx, actor, task_id)
    await stop_all(tx, outbox, bus, [top], Stop(top=top, by=actor.name, reason=reason))
    await audit.record(
        tx,
        actor,
        "task.cancelled",
        target_kind="task",
        target_id=task_id,
        details={"reason": reason},
    )
    return await visible(tx, actor, TaskId(task_id))

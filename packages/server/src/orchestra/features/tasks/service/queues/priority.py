"""Changes the priority of tasks that are not over; who waits gets a place among its new equals."""

import uuid
from collections.abc import Sequence

from orchestra.features import audit
from orchestra.features.tasks import events
from orchestra.features.tasks.errors import NotAllowed
from orchestra.features.tasks.repository import bulk, ending, fairness
from orchestra.features.tasks.repository.ending import Locked
from orchestra.features.tasks.service.announcing import wake
from orchestra.features.tasks.service.reading.reading import visible
from orchestra.features.tasks.types import Priority, Task, TaskId, TaskState
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Transaction
from orchestra.foundation.messaging import Bus


async def change(
    tx: Transaction, bus: Bus, actor: Actor, task_id: uuid.UUID, priority: Priority
) -> Task:
    """Raises TaskNotFound, or NotAllowed for a task that is over."""
    task = await visible(tx, actor, task_id)
    locked = await ending.lock(tx, [task.id])
    if any(item.life.is_over for item in locked.values()):
        raise NotAllowed("The task is over.")
    if await change_all(tx, bus, list(locked.values()), priority):
        await audit.record(
            tx,
            actor,
            "task.priority_changed",
            target_kind="task",
            target_id=task.id,
            details={"from": task.priority.word, "to": priority.word},
        )
    return await visible(tx, actor, task_id)


async def change_all(
    tx: Transaction, bus: Bus, locked: Sequence[Locked], priority: Priority
) -> list[TaskId]:
    """Of locked tasks; those whose priority is another now."""
    changed = [task for task in locked if not task.life.is_over and task.priority != priority]
    if changed:
        ids = [task.id for task in changed]
        await bulk.set_priority(tx, ids, priority)
        await fairness.place(tx, ids)
        waiting = [task for task in changed if task.life.state is TaskState.QUEUED]
        tx.after_commit(lambda: _announce(bus, waiting, priority))
    return [task.id for task in changed]


async def _announce(bus: Bus, waiting: Sequence[Locked], priority: Priority) -> None:
    """A permit for each queue, and word to those who have taken theirs already."""
    first = {task.queue: task for task in reversed(waiting)}
    await bus.publish_soon(
        *(
            events.permit(queue, priority, task.id, task.life.epoch, 1)
            for queue, task in first.items()
        )
    )
    await wake(bus, first)

"""Who may see which task, and what they see."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestra.features.events import SnapshotSource, TopicSnapshot
from orchestra.features.tasks.errors import TaskNotFound
from orchestra.features.tasks.repository import reading
from orchestra.features.tasks.repository.reading import TaskFilter
from orchestra.features.tasks.types import Attempt, Task, TaskSnapshot
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Database, Transaction


async def visible(tx: Transaction, actor: Actor, task_id: uuid.UUID) -> Task:
    """A task that the actor may see: its own, or any for an administrator; raises TaskNotFound."""
    task = await reading.get(tx, task_id)
    if task is None or not (actor.is_admin or task.user_id == actor.user_id):
        raise TaskNotFound
    return task


async def find(tx: Transaction, actor: Actor, wanted: TaskFilter) -> list[Task]:
    """One page of what the actor may see, and a row more if there is one; newest first."""
    viewer = None if actor.is_admin else actor.owner
    return await reading.find(tx, replace(wanted, user_id=viewer))


async def attempts(tx: Transaction, task_id: uuid.UUID) -> list[Attempt]:
    return await reading.attempts(tx, task_id)


async def snapshots(tx: Transaction, ids: Sequence[uuid.UUID]) -> list[TaskSnapshot]:
    """The states and texts of tasks, for whoever has checked that the caller may see them."""
    return await reading.snapshots(tx, ids)


async def is_current_run(tx: Transaction, task_id: uuid.UUID, epoch: int) -> bool:
    """Whether this lease is the task's present one."""
    return await reading.is_current_run(tx, task_id, epoch)


def snapshot_source(database: Database) -> SnapshotSource:
    """What the feeds ask when JetStream has lost what a reader needs."""

    async def source(task_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, TopicSnapshot]:
        async with database.transaction() as tx:
            found = await reading.snapshots(tx, task_ids)
        return {item.task.id: _to_topic(item) for item in found}

    return source


def _to_topic(item: TaskSnapshot) -> TopicSnapshot:
    task = item.task
    snapshot = {
        "state": task.state,
        "epoch": task.epoch,
        "attempt": task.attempt,
        "text": item.text,
        "result": task.result,
        "error": task.error,
        "cursor": item.cursor,
    }
    end = {
        "state": task.state,
        "result": task.result,
        "error": task.error,
        "usage": task.usage,
    }
    return TopicSnapshot(
        cursor=item.cursor, snapshot=snapshot, finished=end if task.life.is_over else None
    )

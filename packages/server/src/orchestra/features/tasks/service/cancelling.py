"""Stops a task: at once while it waits, through its agent while it runs."""

import uuid

import msgspec

from orchestra.features import audit
from orchestra.features.events import Outbox
from orchestra.features.tasks import events
from orchestra.features.tasks.errors import NotAllowed, TaskNotFound
from orchestra.features.tasks.events import Subject
from orchestra.features.tasks.repository import ending as repository
from orchestra.features.tasks.repository.ending import Locked
from orchestra.features.tasks.service.announcing import tell
from orchestra.features.tasks.service.ending import Ending, end_all
from orchestra.features.tasks.service.lifecycle import step
from orchestra.features.tasks.service.reading import visible
from orchestra.features.tasks.types import Task, TaskId, TaskState, Trigger
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
    await visible(tx, actor, task_id)
    locked = (await repository.lock(tx, [TaskId(task_id)])).get(TaskId(task_id))
    if locked is None:
        raise TaskNotFound
    if locked.life.state is TaskState.QUEUED:
        await _end_waiting(tx, outbox, bus, locked, reason)
    elif locked.life.state is TaskState.RUNNING:
        await _ask_agent(tx, outbox, bus, locked, actor, reason)
    else:
        return await visible(tx, actor, task_id)
    await audit.record(
        tx,
        actor,
        "task.cancelled",
        target_kind="task",
        target_id=task_id,
        details={"reason": reason},
    )
    return await visible(tx, actor, task_id)


async def _end_waiting(
    tx: Transaction, outbox: Outbox, bus: Bus, task: Locked, reason: str
) -> None:
    ending = Ending(task_id=task.id, epoch=task.life.epoch, trigger=Trigger.CANCEL, reason=reason)
    outcome = (await end_all(tx, outbox, bus, [ending]))[0]
    if isinstance(outcome, Exception):
        raise outcome


async def _ask_agent(
    tx: Transaction, outbox: Outbox, bus: Bus, task: Locked, actor: Actor, reason: str
) -> None:
    life = step(task.life, Trigger.CANCEL)
    if life.state is not TaskState.CANCELLING:
        raise NotAllowed
    await repository.mark_cancelling(tx, task.id, by=actor.name, reason=reason)
    subject = Subject(
        task_id=task.id,
        user_id=task.user_id,
        capability=task.capability,
        agent_id=task.agent_id,
        agent_name=task.agent_name,
    )
    await outbox.add(tx, *events.cancelling(subject, life, reason=reason))
    notice = events.RunNotice(task.id, task.life.epoch, reason, is_revoked=False)
    payload = msgspec.json.encode(notice)
    tx.after_commit(lambda: tell(bus, events.RUN_SUBJECT, payload))

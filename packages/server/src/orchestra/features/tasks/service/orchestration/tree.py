"""Stops what is below a task, and says when what is above it may be over.

A task that is being cancelled is over when everything below it is over: its agents have
acknowledged, or their leases were taken back.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec

from orchestra.features.events import Outbox
from orchestra.features.tasks import events
from orchestra.features.tasks.events import Subject
from orchestra.features.tasks.repository import ending as repository
from orchestra.features.tasks.repository import families
from orchestra.features.tasks.repository.ending import Locked
from orchestra.features.tasks.service.announcing import tell
from orchestra.features.tasks.service.ends.ending import Ending, end_all
from orchestra.features.tasks.service.lifecycle import step
from orchestra.features.tasks.types import HELD, Life, TaskId, TaskState, Trigger
from orchestra.foundation.database import Transaction
from orchestra.foundation.messaging import Bus, Message

# A run may spawn until it is asked to stop; after this many looks everything below was.
MOST_LOOKS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Who wants a tree stopped, and why. `top` is the task at which it was said."""

    top: TaskId
    by: str
    reason: str


async def stop_all(
    tx: Transaction, outbox: Outbox, bus: Bus, ids: Collection[TaskId], stop: Stop
) -> None:
    """Asks these tasks to stop, and all below them that is not detached."""
    tops, found = sorted(ids), set(ids)
    for _ in range(MOST_LOOKS):
        locked = await repository.lock(tx, sorted(found))
        await _stop(tx, outbox, bus, list(locked.values()), stop)
        found = await families.unstopped_below(tx, tops)
        if not found:
            break
    await settle_stopped(tx, outbox, bus, await families.stopping_in(tx, tops))


async def settle_stopped(
    tx: Transaction, outbox: Outbox, bus: Bus, ids: Collection[TaskId]
) -> None:
    """Ends those of the tasks that are being cancelled, have no run, and nothing below them."""
    while ids:
        locked = await repository.lock(tx, sorted(ids))
        idle = [task.id for task in locked.values() if _is_idle(task)]
        busy = await families.busy_below(tx, idle) if idle else set[TaskId]()
        over = [task_id for task_id in idle if task_id not in busy]
        if not over:
            return
        endings = [
            Ending(task_id=task_id, epoch=locked[task_id].life.epoch, trigger=Trigger.GIVE_UP)
            for task_id in over
        ]
        await end_all(tx, outbox, bus, endings)
        ids = busy  # what was busy with these only


def _is_idle(task: Locked) -> bool:
    return task.life.state is TaskState.CANCELLING and task.agent_id is None


async def _stop(
    tx: Transaction, outbox: Outbox, bus: Bus, tasks: Sequence[Locked], stop: Stop
) -> None:
    queued = [task for task in tasks if task.life.state is TaskState.QUEUED]
    others = {
        task.id: (task, step(task.life, Trigger.CANCEL))
        for task in tasks
        if task.life.state in (TaskState.RUNNING, TaskState.WAITING)
    }
    await families.note_stop(
        tx, [*(task.id for task in queued), *others], by=stop.by, reason=stop.reason, top=stop.top
    )
    if queued:
        busy = await families.busy_below(tx, [task.id for task in queued])
        await end_all(tx, outbox, bus, [_unbegun(task, stop, busy) for task in queued])
    if others:
        lives = {task_id: life for task_id, (_, life) in others.items()}
        await repository.mark_cancelling(tx, lives)
        messages = [_messages(task, life, stop) for task, life in others.values()]
        await outbox.add(tx, *(message for pair in messages for message in pair))
        runs = [task for task, _ in others.values() if task.life.state in HELD]
        tx.after_commit(lambda: _tell_agents(bus, runs, stop))


def _unbegun(task: Locked, stop: Stop, busy: Collection[TaskId]) -> Ending:
    """What has no run is over at once, unless it was begun before and has children at work."""
    trigger = Trigger.STAND_DOWN if task.id in busy else Trigger.CANCEL
    return Ending(task_id=task.id, epoch=task.life.epoch, trigger=trigger, reason=stop.reason)


def _messages(task: Locked, life: Life, stop: Stop) -> tuple[Message, ...]:
    subject = Subject(
        task_id=task.id,
        user_id=task.user_id,
        capability=task.capability,
        agent_id=task.agent_id,
        agent_name=task.agent_name,
    )
    return events.cancelling(subject, life, reason=stop.reason)


async def _tell_agents(bus: Bus, runs: Sequence[Locked], stop: Stop) -> None:
    for task in runs:
        notice = events.RunNotice(task.id, task.life.epoch, stop.reason, is_revoked=False)
        await tell(bus, events.RUN_SUBJECT, msgspec.json.encode(notice))

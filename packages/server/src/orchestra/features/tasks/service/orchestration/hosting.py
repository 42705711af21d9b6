"""Tasks that no agent runs: the server itself starts their children and says what became of them.

Such a task waits from its beginning to its end, and holds no slot. Whoever works on one does so in
the transaction in which it learns of a child's end, under the task's lock.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from orchestra.features.events import Outbox
from orchestra.features.tasks import events
from orchestra.features.tasks.errors import (
    IdempotencyConflict,
    NotAllowed,
    QueueFull,
    TaskNotFound,
    ThisQueueFull,
)
from orchestra.features.tasks.repository import (
    dead_letters,
    ending,
    families,
    reading,
    submitting,
    waiting,
)
from orchestra.features.tasks.repository import steps as step_rows
from orchestra.features.tasks.service import references
from orchestra.features.tasks.service.ends.ending import Ending, end_all
from orchestra.features.tasks.service.orchestration import children
from orchestra.features.tasks.service.submitting.room import Room
from orchestra.features.tasks.service.submitting.validation import prepare, queue_of
from orchestra.features.tasks.types import (
    Life,
    NewChild,
    NewTask,
    Step,
    Task,
    TaskId,
    TaskProblem,
    TaskState,
    Trigger,
)
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings


async def host(
    tx: Transaction, outbox: Outbox, settings: Settings, actor: Actor, new: NewTask
) -> tuple[Task, bool]:
    """A task that waits, and whether it is new; the same idempotency key again is the same task.

    Raises IdempotencyConflict, InvalidInput or InputTooLarge.
    """
    ready = prepare(new, actor.owner, settings, wants_finish=True)
    created = await submitting.insert(tx, [ready])
    if ready.id not in created:
        key = (ready.user_id, ready.idempotency_key or "")
        task, request_hash = (await submitting.by_idempotency_key(tx, [key]))[key]
        if request_hash != ready.request_hash:
            raise IdempotencyConflict
        return task, False
    await references.of_inputs(tx, [ready])
    await families.make_waiting(tx, ready.id)
    life = Life(TaskState.WAITING, children.FIRST_EPOCH, 0, ready.max_attempts)
    subject = events.Subject(task_id=ready.id, user_id=ready.user_id, capability=ready.capability)
    await outbox.add(tx, *events.status(subject, life))
    made = await reading.get(tx, ready.id)
    if made is None:
        raise LookupError("it was inserted in this transaction")
    return made, True


@dataclass(frozen=True, slots=True)
class Again:
    """The task that goes on where another has ended, and the children that it need not start."""

    task: Task
    kept: list[str]
    is_new: bool


async def host_again(
    tx: Transaction,
    outbox: Outbox,
    settings: Settings,
    actor: Actor,
    ended_id: uuid.UUID,
    *,
    keep: Callable[[str, Step], bool],
) -> Again:
    """A task like one that has failed or was cancelled, with those ends of its children.

    One task has one such successor: asked again, it is returned. Raises TaskNotFound, or NotAllowed
    while it or a child of it is not over, and when it has succeeded.
    """
    ended_id = TaskId(ended_id)
    await ending.lock(tx, [ended_id])
    ended = await reading.get(tx, ended_id)
    if ended is None:
        raise TaskNotFound
    ends = await outcomes(tx, ended_id)
    kept = [name for name, step in ends.items() if keep(name, step)]
    if ended.replayed_as is not None:
        former = await reading.get(tx, ended.replayed_as)
        if former is not None:
            return Again(former, kept, is_new=False)
    if ended.state not in (TaskState.FAILED, TaskState.CANCELLED):
        raise NotAllowed("Only what has failed or was cancelled is done again.")
    if len(ends) < await step_rows.count(tx, ended_id, children=True):
        raise NotAllowed("Some of its children are still being stopped; try again in a moment.")
    wish = NewTask(input=ended.input, capability=ended.capability, priority=ended.priority)
    made, _ = await host(tx, outbox, settings, replace(actor, user_id=ended.user_id), wish)
    await step_rows.copy(tx, ended_id, made.id, children.FIRST_EPOCH, kept)
    outputs = [(made.id, msgspec.json.encode(ends[name].output)) for name in kept]
    if refused := await references.refused(tx, outputs):
        raise refused[made.id]
    await dead_letters.note_replayed(tx, [(ended_id, made.id)])
    return Again(made, kept, is_new=True)


async def is_at_work(tx: Transaction, task_id: TaskId) -> bool:
    """Locks the task; False once it is over or being cancelled."""
    locked = (await ending.lock(tx, [task_id])).get(task_id)
    return locked is not None and locked.life.state is TaskState.WAITING


async def start_children(
    tx: Transaction,
    bus: Bus,
    settings: Settings,
    room: Room,
    task_id: TaskId,
    new: Sequence[NewChild],
) -> OrchestraError | None:
    """Starts children of a task that `is_at_work`; those that it has already are the same again.

    Those whose queues are full are left out, and the task is among those that `wait_for_room`.
    Returns why if none was started.
    """
    task = (await ending.lock(tx, [task_id]))[task_id]
    known = await step_rows.named(tx, task_id, [child.name for child in new])
    fresh = [child for child in new if child.name not in known]
    await room.look()
    refused = {child.name: error for child in fresh if (error := _refusal(room, child))}
    begin = [child for child in fresh if child.name not in refused]
    if begin:
        await children.spawn(tx, bus, settings, task, begin)
    full = {queue_of(child.task) for child in fresh if child.name in refused}
    await waiting.note_room(tx, task_id, sorted(full))
    return next(iter(refused.values())) if refused and not begin else None


async def wait_for_room(database: Database, room: Room, *, limit: int) -> list[TaskId]:
    """Tasks of which some children could not be started, and perhaps can be now."""
    if not await waiting.for_room(database, full=[], limit=1):
        return []  # nearly always; counting costs more
    await room.look()
    full = room.full()
    return [] if full is None else await waiting.for_room(database, full=full, limit=limit)


def _refusal(room: Room, child: NewChild) -> OrchestraError | None:
    try:
        room.reserve({queue_of(child.task): 1})
    except (QueueFull, ThisQueueFull) as error:
        return error
    return None


async def outcomes(tx: Transaction, task_id: TaskId) -> dict[str, Step]:
    """The children that have ended, by name."""
    await step_rows.settle_children_of(tx, task_id)
    found = (await step_rows.settled(tx, [task_id])).get(task_id, [])
    return {step.name: step for step in found}


async def conclude(
    tx: Transaction, outbox: Outbox, bus: Bus, task_id: TaskId, end: bytes | TaskProblem
) -> None:
    """Ends a task that `is_at_work`: with a result as JSON, or with a problem."""
    task = (await ending.lock(tx, [task_id]))[task_id]
    trigger = Trigger.GIVE_UP if isinstance(end, TaskProblem) else Trigger.CONCLUDE
    (outcome,) = await end_all(
        tx,
        outbox,
        bus,
        [
            Ending(
                task_id=task_id,
                epoch=task.life.epoch,
                trigger=trigger,
                problem=end if isinstance(end, TaskProblem) else None,
                result_json=end if isinstance(end, bytes) else None,
            )
        ],
    )
    if isinstance(outcome, OrchestraError):
        raise outcome

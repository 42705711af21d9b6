"""Tasks that no agent runs: the server itself starts their children and says what became of them.

Such a task waits from its beginning to its end, and holds no slot. Whoever works on one does so in
the transaction in which it learns of a child's end, under the task's lock.
"""

from collections.abc import Sequence

from orchestra.features.events import Outbox
from orchestra.features.tasks import events
from orchestra.features.tasks.errors import IdempotencyConflict
from orchestra.features.tasks.repository import ending, families, reading, submitting
from orchestra.features.tasks.repository import steps as step_rows
from orchestra.features.tasks.service import references
from orchestra.features.tasks.service.ends.ending import Ending, end_all
from orchestra.features.tasks.service.orchestration import children
from orchestra.features.tasks.service.submitting.validation import prepare
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
from orchestra.foundation.database import Transaction
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


async def is_at_work(tx: Transaction, task_id: TaskId) -> bool:
    """Locks the task; False once it is over or being cancelled."""
    locked = (await ending.lock(tx, [task_id])).get(task_id)
    return locked is not None and locked.life.state is TaskState.WAITING


async def start_children(
    tx: Transaction, bus: Bus, settings: Settings, task_id: TaskId, new: Sequence[NewChild]
) -> list[TaskId]:
    """Starts children of a task that `is_at_work`; those that it has already are the same again."""
    task = (await ending.lock(tx, [task_id]))[task_id]
    return await children.spawn(tx, bus, settings, task, new)


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

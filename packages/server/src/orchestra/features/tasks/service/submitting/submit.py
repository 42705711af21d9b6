"""Takes tasks in. Concurrent submits share a commit; the database decides races of a key."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog

from orchestra.features.tasks import events
from orchestra.features.tasks.errors import IdempotencyConflict, QueueFull, ThisQueueFull
from orchestra.features.tasks.repository import submitting
from orchestra.features.tasks.repository.submitting import PreparedTask
from orchestra.features.tasks.service import references
from orchestra.features.tasks.service.announcing import tell_of_waiting
from orchestra.features.tasks.service.batching import Batcher
from orchestra.features.tasks.service.submitting.room import Room
from orchestra.features.tasks.service.submitting.validation import prepare
from orchestra.features.tasks.types import NewTask, RetryPolicy, Task, TaskId, TaskState
from orchestra.foundation import crash_points
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import FieldError, Unavailable
from orchestra.foundation.messaging import Bus, Message
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 5.0
FIRST_EPOCH = 1


# Does a task again that no agent runs, perhaps with another input; None if it is not such a one.
Rerun = Callable[[Transaction, Actor, TaskId, Any], Awaitable[Task | None]]


class Submitter:
    """One for each process that takes tasks in.

    `rerun` is set by whoever wires the process, since what hosts tasks stands above this feature.
    """

    def __init__(self, database: Database, bus: Bus, settings: Settings) -> None:
        self._database = database
        self._bus = bus
        self._settings = settings
        self._batcher = Batcher("submit-tasks", self._insert)
        self.room = Room(database, settings)
        self.rerun: Rerun | None = None

    async def submit(self, actor: Actor, new: NewTask, *, tx: Transaction | None = None) -> Task:
        """Acknowledges a task: when this returns, it is committed and will reach its end.

        With `tx` it becomes part of that transaction, and its feature is called at the task's end.
        The same idempotency key again returns the same task (`is_repeated`). Raises
        IdempotencyConflict for another wish under it, InvalidInput, InputTooLarge, QueueFull,
        ThisQueueFull or Unavailable.
        """
        prepared = prepare(new, actor.owner, self._settings, wants_finish=tx is not None)
        if (known := await self._take_room([prepared])) is not None:
            return known[0]
        if tx is not None:
            return await self._submit_in(tx, prepared)
        if not prepared.blobs:
            return await self._batcher.submit(prepared)
        async with self._database.transaction() as own:
            return await self._submit_in(own, prepared)

    async def submit_all(self, actor: Actor, new: Sequence[NewTask]) -> list[Task]:
        """Acknowledges all or none, in one transaction.

        With idempotency keys, all are new or all are known: else they are other wishes.
        """
        prepared = [prepare(item, actor.owner, self._settings) for item in new]
        if (known := await self._take_room(prepared)) is not None:
            return known
        async with self._database.transaction() as tx:
            outcomes = await _write(tx, prepared)
            tasks = [_or_raise(outcome) for outcome in outcomes]
            if len({task.is_repeated for task in tasks}) > 1:
                raise _conflict(next(task for task in tasks if task.is_repeated))
            await references.of_inputs(tx, _new(tasks, prepared))
        await self._announce(tasks)
        return tasks

    async def _take_room(self, prepared: Sequence[PreparedTask]) -> list[Task] | None:
        """What was taken in before needs no room: those tasks, if there are any."""
        try:
            await self.room.take(Counter(item.queue for item in prepared))
        except (QueueFull, ThisQueueFull):
            known = await _known(self._database, prepared)
            if not known:
                raise
            return known
        return None

    async def close(self) -> None:
        await self._batcher.close()

    async def _submit_in(self, tx: Transaction, prepared: PreparedTask) -> Task:
        tasks = await _write(tx, [prepared])
        await references.of_inputs(tx, _new(tasks, [prepared]))
        tx.after_commit(lambda: self._announce(tasks))
        return _or_raise(tasks[0])

    async def _insert(self, prepared: Sequence[PreparedTask]) -> Sequence[Task | Exception]:
        # One statement takes all of them in, so it needs no transaction around it.
        crash_points.reached("submit.before-commit")
        tasks = await _write(self._database, prepared)
        crash_points.reached("submit.after-commit")
        await self._announce(tasks)
        return tasks

    async def _announce(self, tasks: Sequence[Task | Exception]) -> None:
        new = [task for task in tasks if isinstance(task, Task) and not task.is_repeated]
        told = events.for_all(
            events.status(
                events.Subject(task_id=task.id, user_id=task.user_id, capability=task.capability),
                task.life,
            )
            for task in new
        )
        await tell_of_waiting(self._bus, new)
        await self._bus.publish_soon(*permits(new), *told)


def permits(tasks: Sequence[Task]) -> list[Message]:
    """One permit for each queue and priority among the tasks, named after the first of them."""
    counts = Counter((task.queue, task.priority) for task in tasks)
    first = {(task.queue, task.priority): task for task in reversed(tasks)}
    return [
        events.permit(
            queue, priority, first[queue, priority].id, first[queue, priority].epoch, count
        )
        for (queue, priority), count in counts.items()
    ]


async def _write(
    tx: Transaction | Database, prepared: Sequence[PreparedTask]
) -> list[Task | Exception]:
    created = await submitting.insert(tx, prepared)
    repeated = [
        (item.user_id, item.idempotency_key)
        for item in prepared
        if item.idempotency_key is not None and item.id not in created
    ]
    earlier = await submitting.by_idempotency_key(tx, repeated) if repeated else {}
    outcomes: list[Task | Exception] = []
    for item in prepared:
        if item.id in created:
            outcomes.append(_as_task(item, created))
            continue
        found = earlier.get((item.user_id, item.idempotency_key or ""))
        if found is None:  # the key has been released since the insert
            outcomes.append(Unavailable("Try again.", retry_after=RETRY_AFTER_SECONDS))
            continue
        outcomes.append(_judged(item, *found))
    return outcomes


async def _known(tx: Transaction | Database, prepared: Sequence[PreparedTask]) -> list[Task]:
    """The tasks that were taken in before under these keys: all of them, or none.

    Raises IdempotencyConflict. Without keys nothing is asked: a full queue costs next to nothing.
    """
    keys = [(item.user_id, item.idempotency_key) for item in prepared if item.idempotency_key]
    if len(keys) < len(prepared):
        return []
    known = await submitting.by_idempotency_key(tx, keys)
    pairs = zip(prepared, keys, strict=True)
    found = [_or_raise(_judged(item, *known[key])) for item, key in pairs if key in known]
    if 0 < len(found) < len(prepared):
        raise _conflict(found[0])
    return found


def _judged(item: PreparedTask, earlier: Task, request_hash: bytes) -> Task | IdempotencyConflict:
    return earlier if request_hash == item.request_hash else _conflict(earlier)


def _conflict(earlier: Task) -> IdempotencyConflict:
    said = f"used for another task, {earlier.id}"
    return IdempotencyConflict(
        f"This idempotency key was {said}.", fields=[FieldError("idempotency_key", said)]
    )


def _new(tasks: Sequence[Task | Exception], prepared: Sequence[PreparedTask]) -> list[PreparedTask]:
    made = {task.id for task in tasks if isinstance(task, Task)}
    return [item for item in prepared if item.id in made]


def _as_task(item: PreparedTask, created: dict[TaskId, datetime]) -> Task:
    return Task(
        id=item.id,
        queue=item.queue,
        capability=item.capability,
        agent_id=None,
        agent_name="",
        state=TaskState.QUEUED,
        priority=item.priority,
        attempt=0,
        max_attempts=item.max_attempts,
        epoch=FIRST_EPOCH,
        input=msgspec.json.decode(item.input_json),
        result=None,
        error=None,
        usage=None,
        user_id=item.user_id,
        affinity_key=item.affinity_key,
        created_at=created[item.id],
        started_at=None,
        finished_at=None,
        run_after=_run_after(item, created[item.id]),
        deadline=_after(created[item.id], item.deadline_seconds),
        retry=msgspec.json.decode(item.retry_json, type=RetryPolicy) if item.retry_json else None,
    )


def _run_after(item: PreparedTask, created_at: datetime) -> datetime | None:
    """As the database has reckoned it, from the same moment."""
    if item.run_at is not None and item.run_at > created_at:
        return item.run_at
    return _after(created_at, item.delay_seconds) if item.delay_seconds else None


def _after(moment: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else moment + timedelta(seconds=seconds)


def _or_raise(outcome: Task | Exception) -> Task:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome

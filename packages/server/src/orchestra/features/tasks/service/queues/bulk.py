"""One decision about many tasks: cancel, try again, another priority. In steps of bounded size."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from orchestra.features import audit
from orchestra.features.events import Outbox
from orchestra.features.tasks.errors import InputTooLarge, TaskNotFound
from orchestra.features.tasks.repository import bulk as repository
from orchestra.features.tasks.repository import ending
from orchestra.features.tasks.repository.bulk import BulkFilter
from orchestra.features.tasks.service.ends import dead_letters
from orchestra.features.tasks.service.ends.dead_letters import Chosen
from orchestra.features.tasks.service.orchestration.cancelling import cancel
from orchestra.features.tasks.service.queues import priority
from orchestra.features.tasks.service.submitting.submit import Submitter
from orchestra.features.tasks.types import Priority, TaskId, TaskState
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.messaging import Bus

# In one request; the answer says where the next goes on.
MOST = 500
# Each cancelled tree is a transaction of its own, so that no two wait for each other in a circle.
PARALLEL = 4
_ALIVE = (TaskState.QUEUED, TaskState.RUNNING, TaskState.WAITING)


class BulkAction(StrEnum):
    CANCEL = "cancel"
    RETRY = "retry"  # of tasks that failed for good: each becomes a new one
    PRIORITY = "priority"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be done with which tasks; `after` goes on where a former answer ended."""

    action: BulkAction
    filter: BulkFilter
    priority: Priority | None = None
    reason: str = ""
    after: uuid.UUID | None = None


Refused = tuple[TaskId, OrchestraError]


@dataclass(frozen=True, slots=True)
class Done:
    """How many tasks the filter meant, how many have changed, and where to go on.

    `refused` says of some that have not changed why.
    """

    matched: int
    changed: int
    next_after: uuid.UUID | None
    refused: Sequence[Refused] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the work needs."""

    database: Database
    bus: Bus
    outbox: Outbox
    submitter: Submitter


async def apply(parts: Parts, actor: Actor, wish: Wish) -> Done:
    """Does it for up to `MOST` tasks, the oldest first; again changes nothing more."""
    if not actor.is_admin:
        wish = replace(wish, filter=replace(wish.filter, user_id=actor.owner))
    is_retry = wish.action is BulkAction.RETRY
    async with parts.database.transaction() as tx:
        found = await repository.find(
            tx,
            wish.filter,
            (TaskState.FAILED,) if is_retry else _ALIVE,
            after=wish.after,
            limit=MOST,
            only_dead=is_retry,
        )
    ids = found[:MOST]
    refused: list[Refused] = []
    changed = await _do(parts, actor, wish, ids, refused)
    async with parts.database.transaction() as tx:
        await _audit(tx, actor, wish, changed)
    more = ids[-1] if len(found) > len(ids) else None
    return Done(len(ids), len(changed), more, refused)


async def _do(
    parts: Parts, actor: Actor, wish: Wish, ids: Sequence[TaskId], refused: list[Refused]
) -> Sequence[uuid.UUID]:
    if not ids:
        return []
    if wish.action is BulkAction.CANCEL:
        return await _cancel(parts, actor, ids, wish.reason)
    if wish.action is BulkAction.RETRY:
        return await _retry(parts, actor, ids, refused)
    async with parts.database.transaction() as tx:
        locked = await ending.lock(tx, ids)
        wanted = wish.priority or Priority.LOW
        return await priority.change_all(tx, parts.bus, list(locked.values()), wanted)


async def _cancel(
    parts: Parts, actor: Actor, ids: Sequence[TaskId], reason: str
) -> list[uuid.UUID]:
    left = list(reversed(ids))
    changed: list[uuid.UUID] = []

    async def work() -> None:
        while left:
            task_id = left.pop()
            try:
                async with parts.database.transaction() as tx:
                    task = await cancel(tx, parts.outbox, parts.bus, actor, task_id, reason)
            except TaskNotFound:  # retention was quicker
                continue
            if task.state in (TaskState.CANCELLED, TaskState.CANCELLING):
                changed.append(task_id)

    async with asyncio.TaskGroup() as group:
        for place in range(min(PARALLEL, len(ids))):
            group.create_task(work(), name=f"bulk cancel {place}")
    return changed


async def _retry(
    parts: Parts, actor: Actor, ids: Sequence[TaskId], refused: list[Refused]
) -> list[uuid.UUID]:
    """Halves what is not possible together: one that is gone, or inputs too large for one go.

    What went well before stays, so what one alone cannot have is told of, and does not end it.
    """
    try:
        async with parts.database.transaction() as tx:
            done = await dead_letters.replay(tx, parts.submitter, actor, Chosen(ids=ids))
    except OrchestraError as error:
        if len(ids) == 1 and not dead_letters.is_of_all(error):
            if not isinstance(error, TaskNotFound):  # somebody has dealt with it since
                refused.append((ids[0], error))
            return []
        if len(ids) == 1 or not isinstance(error, TaskNotFound | InputTooLarge):
            raise
        middle = len(ids) // 2
        return [
            *await _retry(parts, actor, ids[:middle], refused),
            *await _retry(parts, actor, ids[middle:], refused),
        ]
    refused.extend(done.refused)
    return [old for old, _ in done.pairs]


async def _audit(tx: Transaction, actor: Actor, wish: Wish, changed: Sequence[uuid.UUID]) -> None:
    given = {name: getattr(wish.filter, name) for name in BulkFilter.__slots__}
    details: dict[str, Any] = {
        "filter": {name: value for name, value in given.items() if value is not None},
        "count": len(changed),
        "reason": wish.reason,
    }
    if wish.priority is not None:
        details["priority"] = wish.priority.word
    await audit.record(
        tx,
        actor,
        f"tasks.bulk_{wish.action}",
        target_kind="task",
        target_id=f"{len(changed)} tasks",
        details=details,
    )

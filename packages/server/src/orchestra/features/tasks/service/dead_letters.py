"""Dead letters: look at what failed for good, and do it again, as it was or with another input."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from msgspec import UNSET

from orchestra.features import audit
from orchestra.features.tasks.errors import TaskNotFound
from orchestra.features.tasks.repository import dead_letters as repository
from orchestra.features.tasks.repository.dead_letters import DeadGroup
from orchestra.features.tasks.service.submit import Submitter
from orchestra.features.tasks.types import Task, TaskId
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Transaction
from orchestra.foundation.errors import FieldError, InvalidInput

# In one request, which is one transaction; of a larger group the rest comes with the next.
MOST = 500
NONE = "There is no such dead letter, or it is somebody else's."


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which dead letters: some by id, or all of a group."""

    ids: Sequence[uuid.UUID] | None = None
    fingerprint: str | None = None

    def check(self) -> None:
        """Raises InvalidInput unless it names one of the two."""
        if (self.ids is None) == (self.fingerprint is None):
            said = "give task_ids or a fingerprint"
            raise InvalidInput(f"{said}.", fields=[FieldError("task_ids", said)])


@dataclass(frozen=True, slots=True)
class Replayed:
    """Which dead letter became which task, and how many of the group are left."""

    pairs: list[tuple[TaskId, TaskId]]
    remaining: int


async def groups(
    tx: Transaction, actor: Actor, *, before: tuple[datetime, str] | None, limit: int
) -> list[DeadGroup]:
    """The actor's failures (an administrator's: all), those of one kind together."""
    return await repository.groups(tx, user_id=_viewer(actor), before=before, limit=limit)


async def in_group(
    tx: Transaction, actor: Actor, fingerprint: str, *, before: uuid.UUID | None, limit: int
) -> list[Task]:
    """Raises TaskNotFound for a group that is empty for the actor."""
    found = await repository.in_group(
        tx, fingerprint, user_id=_viewer(actor), before=before, limit=limit
    )
    if not found and before is None:
        raise TaskNotFound(NONE)
    return found


async def replay(
    tx: Transaction, submitter: Submitter, actor: Actor, chosen: Chosen, *, edited: Any = UNSET
) -> Replayed:
    """Submits them again for those whose they were; each dead letter once.

    Raises TaskNotFound if one that is named by its id is none, or none any more.
    """
    taken = await _take(tx, actor, chosen)
    if edited is not UNSET and (chosen.ids is None or len(taken) != 1):
        raise InvalidInput(
            "Another input can be given to one task at a time.",
            fields=[FieldError("input", "for one task only")],
        )
    pairs: list[tuple[TaskId, TaskId]] = []
    for dead, user_id, wish in taken:
        new = wish if edited is UNSET else replace(wish, input=edited)
        task = await submitter.submit(replace(actor, user_id=user_id), new, tx=tx)
        pairs.append((dead, task.id))
    await repository.note_replayed(tx, pairs)
    remaining = await _remaining(tx, actor, chosen)
    details = {"replayed_as": [fresh for _, fresh in pairs], "edited": edited is not UNSET}
    await _audit(tx, actor, "dead_letters.replayed", [dead for dead, _ in pairs], **details)
    return Replayed(pairs, remaining)


async def discard(tx: Transaction, actor: Actor, chosen: Chosen) -> tuple[int, int]:
    """Takes them out of the list; the tasks stay failed. How many, and how many are left."""
    ids = [dead for dead, _, _ in await _take(tx, actor, chosen)]
    await repository.note_discarded(tx, ids)
    remaining = await _remaining(tx, actor, chosen)
    await _audit(tx, actor, "dead_letters.discarded", ids)
    return len(ids), remaining


async def _take(tx: Transaction, actor: Actor, chosen: Chosen) -> list[Any]:
    chosen.check()
    taken = await repository.take(
        tx,
        user_id=_viewer(actor),
        fingerprint=chosen.fingerprint,
        ids=chosen.ids,
        limit=MOST,
    )
    wanted = 1 if chosen.ids is None else len(set(chosen.ids))
    if len(taken) < wanted:
        raise TaskNotFound(NONE)
    return taken


async def _remaining(tx: Transaction, actor: Actor, chosen: Chosen) -> int:
    if chosen.fingerprint is None:
        return 0
    return await repository.count(tx, chosen.fingerprint, user_id=_viewer(actor))


async def _audit(
    tx: Transaction, actor: Actor, action: str, ids: Sequence[TaskId], **more: Any
) -> None:
    target = ids[0] if len(ids) == 1 else f"{len(ids)} tasks"
    details = {"task_ids": ids, **more}
    await audit.record(tx, actor, action, target_kind="task", target_id=target, details=details)


def _viewer(actor: Actor) -> uuid.UUID | None:
    return None if actor.is_admin else actor.owner

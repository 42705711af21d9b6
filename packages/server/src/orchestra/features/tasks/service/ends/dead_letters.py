"""Dead letters: look at what failed for good, and do it again, as it was or with another input."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from msgspec import UNSET

from orchestra.features import audit, blobs
from orchestra.features.tasks.errors import InputTooLarge, QueueFull, TaskNotFound
from orchestra.features.tasks.repository import dead_letters as repository
from orchestra.features.tasks.repository import steps as step_rows
from orchestra.features.tasks.repository.dead_letters import Choice, DeadGroup, Letter
from orchestra.features.tasks.service.submitting.submit import FIRST_EPOCH, Submitter
from orchestra.features.tasks.types import Task, TaskId
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Transaction
from orchestra.foundation.errors import FieldError, InvalidInput, OrchestraError, Unavailable

# In one request, which is one transaction; of a larger group the rest comes with the next.
MOST = 500
# As the database has them, which is compressed.
MAX_INPUT_BYTES, ANY_SIZE = 8 * 1024**2, 2**60
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
    """Which dead letter became which task, and how many of the group are left.

    `refused` says why those that could not be submitted now were left, and counts them as left.
    """

    pairs: list[tuple[TaskId, TaskId]]
    refused: list[tuple[TaskId, OrchestraError]]
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
    viewer = _viewer(actor)
    kind = await repository.kind(tx, fingerprint, user_id=viewer)
    if kind is None and before is None:
        raise TaskNotFound(NONE)
    if kind is None:
        return []
    return await repository.in_group(tx, kind, user_id=viewer, before=before, limit=limit)


async def replay(
    tx: Transaction, submitter: Submitter, actor: Actor, chosen: Chosen, *, edited: Any = UNSET
) -> Replayed:
    """Submits them again for those whose they were; each dead letter once.

    Raises TaskNotFound if one that is named by its id is none, or none any more; and why a single
    one that is named could not be submitted.
    """
    choice = await _choice(tx, actor, chosen)
    taken = await _take(tx, choice, max_bytes=MAX_INPUT_BYTES)
    if edited is not UNSET and (chosen.ids is None or len(taken) != 1):
        raise InvalidInput(
            "Another input can be given to one task at a time.",
            fields=[FieldError("input", "for one task only")],
        )
    pairs: list[tuple[TaskId, TaskId]] = []
    refused: list[tuple[TaskId, OrchestraError]] = []
    for letter in await repository.wishes(tx, taken):
        try:
            async with tx.savepoint():
                pairs.append((letter[0], await _again(tx, submitter, actor, letter, edited)))
        except OrchestraError as error:
            if is_of_all(error) or (chosen.ids is not None and len(taken) == 1):
                raise
            refused.append((letter[0], error))
    if pairs:
        await repository.note_replayed(tx, pairs)
        await _keep_effects(tx, pairs)
        details = {"replayed_as": [fresh for _, fresh in pairs], "edited": edited is not UNSET}
        await _audit(tx, actor, "dead_letters.replayed", [dead for dead, _ in pairs], **details)
    return Replayed(pairs, refused, await _remaining(tx, choice))


def is_of_all(error: OrchestraError) -> bool:
    """Whether it would meet every other task, too."""
    return isinstance(error, Unavailable) and not isinstance(error, QueueFull)


async def _again(
    tx: Transaction, submitter: Submitter, actor: Actor, letter: Letter, edited: Any
) -> TaskId:
    dead, user_id, wish = letter
    if submitter.rerun and (run := await submitter.rerun(tx, actor, dead, edited)):
        return run.id
    new = wish if edited is UNSET else replace(wish, input=edited)
    return (await submitter.submit(replace(actor, user_id=user_id), new, tx=tx)).id


async def _keep_effects(tx: Transaction, pairs: Sequence[tuple[TaskId, TaskId]]) -> None:
    """What was done is not done again, unless the input is another.

    Its children and questions begin anew: they belong to the task that failed, and end with it.
    """
    got = await step_rows.copy_effects(tx, pairs, epoch=FIRST_EPOCH)
    await blobs.refer_as(tx, [(dead, fresh) for dead, fresh in pairs if fresh in got])


async def discard(tx: Transaction, actor: Actor, chosen: Chosen) -> tuple[int, int]:
    """Takes them out of the list; the tasks stay failed. How many, and how many are left."""
    choice = await _choice(tx, actor, chosen)
    ids = await _take(tx, choice, max_bytes=ANY_SIZE)
    await repository.note_discarded(tx, ids)
    remaining = await _remaining(tx, choice)
    await _audit(tx, actor, "dead_letters.discarded", ids)
    return len(ids), remaining


async def _choice(tx: Transaction, actor: Actor, chosen: Chosen) -> Choice:
    chosen.check()
    viewer = _viewer(actor)
    if chosen.fingerprint is None:
        return Choice(user_id=viewer, ids=chosen.ids)
    kind = await repository.kind(tx, chosen.fingerprint, user_id=viewer)
    if kind is None:
        raise TaskNotFound(NONE)
    return Choice(user_id=viewer, kind=kind)


async def _take(tx: Transaction, choice: Choice, *, max_bytes: int) -> list[TaskId]:
    taken = await repository.take(tx, choice, limit=MOST, max_bytes=max_bytes)
    wanted = 1 if choice.ids is None else len(set(choice.ids))
    if len(taken) == wanted or (choice.ids is None and taken):
        return taken
    if await repository.count(tx, choice) < wanted:
        raise TaskNotFound(NONE)
    raise InputTooLarge("Their inputs are too large together; name fewer at once.")


async def _remaining(tx: Transaction, choice: Choice) -> int:
    return 0 if choice.kind is None else await repository.count(tx, choice)


async def _audit(
    tx: Transaction, actor: Actor, action: str, ids: Sequence[TaskId], **more: Any
) -> None:
    target = ids[0] if len(ids) == 1 else f"{len(ids)} tasks"
    details = {"task_ids": ids, **more}
    await audit.record(tx, actor, action, target_kind="task", target_id=target, details=details)


def _viewer(actor: Actor) -> uuid.UUID | None:
    return None if actor.is_admin else actor.owner

"""What somebody has brought: lists, one of them, and taking it back."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from orchestra.features import audit
from orchestra.features.blobs.errors import BlobInUse
from orchestra.features.blobs.repository import reading as repository
from orchestra.features.blobs.repository import references, removing
from orchestra.features.blobs.repository.reading import Before
from orchestra.features.blobs.service import reading
from orchestra.features.blobs.types import Blob, Owned, Sha256
from orchestra.foundation.auth import Actor, ActorKind
from orchestra.foundation.database import Transaction
from orchestra.foundation.errors import Forbidden
from orchestra.foundation.settings import Settings

# Of the tasks that refer to a blob.
MOST_TASKS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One blob, and what keeps it."""

    blob: Blob
    created_at: datetime | None
    kept_until: datetime | None
    tasks: list[UUID]


async def find(
    tx: Transaction,
    actor: Actor,
    settings: Settings,
    *,
    everybody: bool,
    before: Before | None,
    size: int,
) -> list[Owned]:
    """One page and a row more, the newest first; raises Forbidden for the blobs of everybody."""
    if everybody and not actor.is_admin:
        raise Forbidden("The blobs of everybody are for administrators.")
    return await repository.newest(
        tx,
        user_id=None if everybody else actor.owner,
        before=before,
        hours=settings.keep_unused_blob_hours,
        limit=size + 1,
    )


async def describe(tx: Transaction, actor: Actor, settings: Settings, name: str) -> Described:
    """Raises BlobNotFound."""
    blob = await reading.readable(tx, actor, name)
    tasks = await repository.tasks_with(tx, blob.sha256, user_id=_whose(actor), limit=MOST_TASKS)
    created_at, kept_until = await repository.first_brought(
        tx, blob.sha256, user_id=actor.owner, hours=settings.keep_unused_blob_hours
    )
    return Described(
        blob=blob,
        created_at=created_at,
        kept_until=None if tasks else kept_until,
        tasks=tasks,
    )


async def delete(tx: Transaction, actor: Actor, name: str) -> None:
    """Takes back what the actor has brought; an administrator removes what others have, too.

    The content goes with the last who has brought it. Raises BlobNotFound, Forbidden for what only
    others have brought, or BlobInUse.
    """
    blob = await reading.readable(tx, actor, name)
    await references.lock(tx, blob.sha256)
    task_id = actor.task_id if actor.kind is ActorKind.RUN else None
    await _check_unused(tx, blob.sha256, actor.owner)
    if await removing.disown(tx, blob.sha256, user_id=actor.owner, task_id=task_id):
        await removing.drop_if_nobodys(tx, blob.sha256)
    elif actor.is_admin and task_id is None:
        await _check_unused(tx, blob.sha256, None)
        await removing.drop_blob(tx, blob.sha256)
    else:
        raise Forbidden("Somebody else has brought this blob.")
    await audit.record(
        tx,
        actor,
        "blob.deleted",
        target_kind="blob",
        target_id=blob.sha256,
        details={"bytes": blob.size},
    )


async def _check_unused(tx: Transaction, sha256: Sha256, user_id: UUID | None) -> None:
    tasks = await repository.tasks_with(tx, sha256, user_id=user_id, limit=1)
    if tasks:
        raise BlobInUse(
            f"The task {tasks[0]} refers to this blob, which is kept as long as the task is."
        )


def _whose(actor: Actor) -> UUID | None:
    """Whose tasks the actor may be told of; None: everybody's."""
    return None if actor.is_admin and actor.kind is not ActorKind.RUN else actor.owner

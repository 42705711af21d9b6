"""SQL that says whose a task is, for what its values refer to."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.features.tasks.types import TaskId
from orchestra.foundation.database import Transaction


@dataclass(frozen=True, slots=True)
class Kin:
    """The owner of a task, and the task that it is a child of."""

    user_id: uuid.UUID
    parent_id: uuid.UUID | None


async def kin(tx: Transaction, ids: Sequence[TaskId]) -> dict[TaskId, Kin]:
    rows = await tx.fetch(
        "SELECT id, user_id, parent_id FROM tasks WHERE id = ANY($1::uuid[])", list(ids)
    )
    return {TaskId(row["id"]): Kin(row["user_id"], row["parent_id"]) for row in rows}

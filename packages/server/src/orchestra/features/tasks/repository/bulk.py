"""SQL of changes to many tasks: which ones a filter means, and their priorities."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestra.features.tasks.types import Priority, QueueName, TaskId, TaskState
from orchestra.foundation.database import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkFilter:
    """Which tasks; None does not ask. All that is given has to be so."""

    ids: Sequence[uuid.UUID] | None = None
    user_id: uuid.UUID | None = None
    states: Sequence[TaskState] | None = None
    queue: QueueName | None = None
    capability: str | None = None
    agent_id: uuid.UUID | None = None
    priority: Priority | None = None
    error_code: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


_FIND = """
SELECT id FROM tasks
WHERE ($1::uuid[] IS NULL OR id = ANY($1)) AND ($2::uuid IS NULL OR user_id = $2)
    AND state = ANY($3::text[]) AND ($4::text IS NULL OR queue = $4)
    AND ($5::text IS NULL OR capability = $5) AND ($6::uuid IS NULL OR agent_id = $6)
    AND ($7::smallint IS NULL OR priority = $7)
    AND ($8::text IS NULL OR error ->> 'code' = $8)
    AND ($9::timestamptz IS NULL OR created_at >= $9)
    AND ($10::timestamptz IS NULL OR created_at < $10)
    AND ($11::uuid IS NULL OR id > $11)
    AND (NOT $12 OR (replayed_as IS NULL AND discarded_at IS NULL AND parent_id IS NULL))
ORDER BY id LIMIT $13
"""


async def find(
    tx: Transaction,
    wanted: BulkFilter,
    states: Sequence[TaskState],
    *,
    after: uuid.UUID | None,
    limit: int,
    only_dead: bool = False,
) -> list[TaskId]:
    """The oldest of those that are in one of the states, and one more if there is one.

    `only_dead` leaves out what was replayed or discarded, and child tasks.
    """
    given = set(states if wanted.states is None else wanted.states)
    rows = await tx.fetch(
        _FIND,
        None if wanted.ids is None else list(wanted.ids),
        wanted.user_id,
        sorted(given.intersection(states)),
        wanted.queue,
        wanted.capability,
        wanted.agent_id,
        wanted.priority,
        wanted.error_code,
        wanted.created_after,
        wanted.created_before,
        after,
        only_dead,
        limit + 1,
    )
    return [TaskId(row["id"]) for row in rows]


async def set_priority(tx: Transaction, ids: Sequence[TaskId], priority: Priority) -> None:
    """Of locked tasks. Those that wait then have to get a new place in line."""
    await tx.execute(
        "UPDATE tasks SET priority = $2, blocked_on = NULL WHERE id = ANY($1::uuid[])",
        list(ids),
        priority,
    )

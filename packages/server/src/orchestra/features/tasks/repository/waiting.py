"""SQL of tasks that have given their slot back, and of what brings them back."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestra.features.tasks.types import QueueName, TaskId, WaitsFor
from orchestra.foundation.database import Database, Transaction, without_nul

# A task that waits for room has this time, which is later than any timer: nobody wakes it by the
# clock, and the index of such times finds it. No step has a name like those it waits for.
FOR_ROOM = datetime(9999, 1, 1, tzinfo=UTC)
ROOM = "room in "


@dataclass(frozen=True, slots=True)
class Ready:
    """A waiting task that need not wait any longer."""

    task_id: TaskId
    epoch: int


async def note_wait(
    tx: Transaction, task_id: TaskId, *, names: Sequence[str], any: bool, until: datetime | None
) -> None:
    """What a task that is about to wait waits for."""
    await tx.execute(
        """
        UPDATE tasks SET wait_names = $2, wait_any = $3, wait_until = $4 WHERE id = $1
        """,
        task_id,
        [without_nul(name) for name in names],
        any,
        until,
    )


async def note_room(tx: Transaction, task_id: TaskId, queues: Sequence[QueueName]) -> None:
    """In which queues a hosted task, whose row is locked, wants room for children; in none."""
    await tx.execute(
        """
        UPDATE tasks SET wait_names = $2::text[], wait_any = cardinality($2::text[]) > 0,
            wait_until = CASE WHEN cardinality($2::text[]) > 0 THEN $3::timestamptz END
        WHERE id = $1 AND (cardinality($2::text[]) > 0 OR wait_until = $3::timestamptz)
        """,
        task_id,
        [ROOM + without_nul(queue) for queue in queues],
        FOR_ROOM,
    )


async def for_room(database: Database, *, full: Sequence[QueueName], limit: int) -> list[TaskId]:
    """Hosted tasks that want room in other queues than these; nothing is locked."""
    rows = await database.fetch(
        """
        SELECT id FROM tasks
        WHERE state = 'waiting' AND wait_until = $1 AND NOT wait_names <@ $2::text[]
        ORDER BY id LIMIT $3
        """,
        FOR_ROOM,
        [ROOM + queue for queue in full],
        limit,
    )
    return [TaskId(row["id"]) for row in rows]


async def from_now(tx: Transaction, seconds: float) -> datetime:
    """A time by the database's clock."""
    moment: datetime = await tx.fetch_value("SELECT now() + make_interval(secs => $1)", seconds)
    return moment


async def ready(tx: Transaction, ids: Sequence[TaskId]) -> list[Ready]:
    """Those of the tasks, whose rows are locked, that need not wait any longer."""
    rows = await tx.fetch(
        """
        SELECT id, epoch FROM tasks
        WHERE id = ANY($1::uuid[]) AND state = 'waiting' AND (
            wait_until <= now() OR cardinality(wait_names) > 0 AND CASE WHEN wait_any THEN EXISTS (
                SELECT FROM task_steps WHERE task_id = tasks.id AND name = ANY(wait_names)
                    AND settled_at IS NOT NULL
            ) ELSE NOT EXISTS (
                SELECT FROM task_steps WHERE task_id = tasks.id AND name = ANY(wait_names)
                    AND settled_at IS NULL
            ) END
        ) ORDER BY id
        """,
        list(ids),
    )
    return [Ready(TaskId(row["id"]), row["epoch"]) for row in rows]


async def due(tx: Transaction, *, limit: int) -> list[TaskId]:
    """Waiting tasks whose time has come; nothing is locked."""
    rows = await tx.fetch(
        """
        SELECT id FROM tasks WHERE state = 'waiting' AND wait_until <= now()
        ORDER BY wait_until LIMIT $1
        """,
        limit,
    )
    return [TaskId(row["id"]) for row in rows]


async def was_suspended(tx: Transaction, task_id: TaskId, epoch: int, agent_id: uuid.UUID) -> bool:
    """Whether this agent's lease ended with a suspension: it may ask again for the answer."""
    found = await tx.fetch_value(
        """
        SELECT 1 FROM task_attempts
        WHERE task_id = $1 AND epoch = $2 AND agent_id = $3 AND outcome = 'suspended'
        """,
        task_id,
        epoch,
        agent_id,
    )
    return found is not None


async def waits_for(tx: Transaction, task_id: uuid.UUID, *, most: int) -> WaitsFor | None:
    """What a waiting task waits for; of many names only the first that have no outcome."""
    row = await tx.fetch_one(
        """
        SELECT wait_any, wait_until, cardinality(wait_names) AS count FROM tasks
        WHERE id = $1 AND state = 'waiting'
        """,
        task_id,
    )
    if row is None:
        return None
    steps = await tx.fetch(
        """
        SELECT step.name, step.kind, step.child_id, step.approval_id
        FROM tasks JOIN task_steps AS step ON step.task_id = tasks.id
            AND step.name = ANY(tasks.wait_names) AND step.settled_at IS NULL
        WHERE tasks.id = $1 ORDER BY step.created_at, step.name LIMIT $2
        """,
        task_id,
        most,
    )
    return WaitsFor(
        any=row["wait_any"],
        until=None if row["wait_until"] == FOR_ROOM else row["wait_until"],
        count=row["count"],
        names=[step["name"] for step in steps],
        child_ids=[step["child_id"] for step in steps if step["child_id"]],
        approval_ids=[step["approval_id"] for step in steps if step["approval_id"]],
    )

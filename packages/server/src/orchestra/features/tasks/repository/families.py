"""SQL of parents, children and everything above and below them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestra.features.tasks.types import QueueName, TaskId
from orchestra.foundation.database import Transaction, without_nul

# No tree is deeper than `max_task_depth` may say; it bounds a recursion over wrong data.
DEEPEST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """What children take from their parent. `lineage` are the hashes of its ancestors."""

    id: TaskId
    root_id: TaskId
    depth: int
    lineage: list[bytes]
    capability: str
    queue: QueueName
    input: Any


@dataclass(frozen=True, slots=True)
class Adopted:
    """A task that becomes a child."""

    id: TaskId
    name: str
    detached: bool


async def parent(tx: Transaction, task_id: TaskId) -> Parent | None:
    row = await tx.fetch_one(
        """
        SELECT id, coalesce(root_id, id) AS root_id, depth, lineage, capability, queue, input
        FROM tasks WHERE id = $1
        """,
        task_id,
    )
    return Parent(**dict(row)) if row else None


async def adopt(
    tx: Transaction, parent: Parent, children: Sequence[Adopted], *, lineage: Sequence[bytes]
) -> None:
    """Makes tasks that were inserted in this transaction children of one whose row is locked."""
    await tx.execute(
        """
        UPDATE tasks SET parent_id = $1, root_id = $2, depth = $3, lineage = $4,
            child_name = given.name, detached = given.detached
        FROM unnest($5::uuid[], $6::text[], $7::boolean[]) AS given (id, name, detached)
        WHERE tasks.id = given.id
        """,
        parent.id,
        parent.root_id,
        parent.depth + 1,
        list(lineage),
        [child.id for child in children],
        [without_nul(child.name) for child in children],
        [child.detached for child in children],
    )


async def want_finish(tx: Transaction, task_id: TaskId) -> None:
    """At its end something follows for others."""
    await tx.execute(
        "UPDATE tasks SET wants_finish = true WHERE id = $1 AND NOT wants_finish", task_id
    )


async def make_waiting(tx: Transaction, task_id: TaskId) -> None:
    """A task that was inserted in this transaction never waits for an agent."""
    await tx.execute(
        "UPDATE tasks SET state = 'waiting', queue_deadline = NULL WHERE id = $1", task_id
    )


async def with_kin(tx: Transaction, ids: Sequence[TaskId]) -> list[TaskId]:
    """Those of the tasks that have a parent or children, or have asked something."""
    rows = await tx.fetch(
        """
        SELECT id FROM tasks WHERE id = ANY($1::uuid[]) AND (
            parent_id IS NOT NULL
            OR EXISTS (SELECT FROM tasks AS child WHERE child.parent_id = tasks.id)
            OR EXISTS (SELECT FROM approvals WHERE task_id = tasks.id AND state = 'open')
        )
        """,
        list(ids),
    )
    return [TaskId(row["id"]) for row in rows]


async def live_parents(tx: Transaction, ids: Sequence[TaskId]) -> set[TaskId]:
    """The parents of these tasks that are not over."""
    rows = await tx.fetch(
        """
        SELECT DISTINCT parent.id FROM tasks JOIN tasks AS parent ON parent.id = tasks.parent_id
        WHERE tasks.id = ANY($1::uuid[]) AND parent.finished_at IS NULL
        """,
        list(ids),
    )
    return {TaskId(row["id"]) for row in rows}


async def with_live_children(tx: Transaction, ids: Sequence[TaskId]) -> list[TaskId]:
    """Those of the tasks with children that are neither over nor detached."""
    rows = await tx.fetch(
        """
        SELECT DISTINCT parent_id FROM tasks
        WHERE parent_id = ANY($1::uuid[]) AND finished_at IS NULL AND NOT detached
        ORDER BY parent_id
        """,
        list(ids),
    )
    return [TaskId(row["parent_id"]) for row in rows]


async def note_stop(
    tx: Transaction, ids: Sequence[TaskId], *, by: str, reason: str, top: TaskId
) -> None:
    """Who has asked these tasks, whose rows are locked, to stop; the first keeps its word."""
    await tx.execute(
        """
        UPDATE tasks SET cancel_requested_at = now(), cancel_requested_by = $2,
            cancel_reason = $3, cancelled_with = $4
        WHERE id = ANY($1::uuid[])
        """,
        list(ids),
        without_nul(by),
        without_nul(reason),
        top,
    )


async def stopping_above(tx: Transaction, ids: Sequence[TaskId]) -> set[TaskId]:
    """Ancestors that are being cancelled. Whether their own run is over, their locked rows say."""
    rows = await tx.fetch(
        """
        WITH RECURSIVE above AS (
            SELECT id, parent_id, detached, 0 AS height FROM tasks WHERE id = ANY($1::uuid[])
            UNION
            SELECT tasks.id, tasks.parent_id, tasks.detached, height + 1
            FROM above JOIN tasks ON tasks.id = above.parent_id
            WHERE NOT above.detached AND height < $2
        )
        SELECT DISTINCT tasks.id FROM above JOIN tasks USING (id)
        WHERE tasks.state = 'cancelling'
        """,
        list(ids),
        DEEPEST,
    )
    return {TaskId(row["id"]) for row in rows}


_BELOW = """
WITH RECURSIVE below AS (
    SELECT id AS top_id, id, 0 AS height FROM tasks WHERE id = ANY($1::uuid[])
    UNION
    SELECT below.top_id, tasks.id, height + 1
    FROM below JOIN tasks ON tasks.parent_id = below.id
    WHERE NOT tasks.detached AND height < $2
)
"""


async def unstopped_below(tx: Transaction, ids: Sequence[TaskId]) -> set[TaskId]:
    """What is below these tasks, not over and not asked to stop yet."""
    rows = await tx.fetch(
        _BELOW
        + """
        SELECT DISTINCT tasks.id FROM below JOIN tasks USING (id)
        WHERE below.id <> below.top_id AND tasks.state IN ('queued', 'running', 'waiting')
        """,
        list(ids),
        DEEPEST,
    )
    return {TaskId(row["id"]) for row in rows}


async def busy_below(tx: Transaction, ids: Sequence[TaskId]) -> set[TaskId]:
    """Those of the tasks below which something is not over."""
    rows = await tx.fetch(
        _BELOW
        + """
        SELECT DISTINCT below.top_id FROM below JOIN tasks USING (id)
        WHERE below.id <> below.top_id AND tasks.finished_at IS NULL
        """,
        list(ids),
        DEEPEST,
    )
    return {TaskId(row["top_id"]) for row in rows}


async def stopping_in(tx: Transaction, ids: Sequence[TaskId]) -> set[TaskId]:
    """Of these tasks and everything below and above them: what is being cancelled."""
    rows = await tx.fetch(
        _BELOW
        + """
        SELECT DISTINCT tasks.id FROM below JOIN tasks USING (id)
        WHERE tasks.state = 'cancelling'
        """,
        list(ids),
        DEEPEST,
    )
    below = {TaskId(row["id"]) for row in rows}
    return below | await stopping_above(tx, ids)

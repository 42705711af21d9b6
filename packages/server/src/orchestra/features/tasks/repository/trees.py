"""SQL that shows what is below a task, and how a tree was stopped."""

import uuid

from orchestra.features.tasks.repository.families import DEEPEST
from orchestra.features.tasks.repository.rows import AGENT_NAME, to_problem
from orchestra.features.tasks.types import (
    Cancellation,
    Place,
    Stopped,
    TaskId,
    TaskState,
    TreeNode,
)
from orchestra.foundation.database import Row, Transaction

_NODES = f"""
WITH RECURSIVE below AS (
    SELECT id, 0 AS height FROM tasks WHERE id = $1
    UNION ALL
    SELECT tasks.id, height + 1 FROM below JOIN tasks ON tasks.parent_id = below.id
    WHERE height < {DEEPEST}
)
SELECT
    id, parent_id, coalesce(child_name, '') AS name, depth, detached, capability, state, attempt,
    {AGENT_NAME}, error, created_at, started_at, finished_at
FROM below JOIN tasks USING (id)
WHERE ($2::int IS NULL OR (depth, id) > ($2, $3::uuid))
ORDER BY depth, id LIMIT $4
"""

# Why the server takes a run from an agent that has it; where it has not begun, nothing ran on.
_TAKEN_BACK = """
    'agent_lost', 'agent_away', 'run_timeout', 'progress_timeout', 'cancel_unanswered', 'deadline'
"""
_NOT_BEGUN = "'given_back', 'undeliverable'"

# How each was stopped: its last run may have said so itself, or its lease was taken from it.
_STOPPED = f"""
SELECT tasks.id, parent_id, depth, capability, {AGENT_NAME}, state,
    refused_writes, last_refused_at, CASE
        WHEN cancelled_with IS DISTINCT FROM $1 THEN NULL ELSE cancel_requested_at
    END AS requested_at, CASE
        WHEN run.ended_at >= cancel_requested_at THEN run.ended_at ELSE finished_at
    END AS ended_at, run.stopped_at, run.last_heard_at, CASE
        WHEN cancelled_with IS DISTINCT FROM $1 THEN 'detached'
        WHEN finished_at IS NULL AND (run.epoch IS NULL OR run.ended_at IS NULL) THEN 'stopping'
        WHEN state IN ('succeeded', 'failed') THEN 'ended_itself'
        WHEN run.ended_at IS NULL OR run.ended_at < cancel_requested_at THEN 'not_running'
        WHEN run.error ->> 'code' = 'stopped_by_agent' THEN 'acknowledged'
        WHEN run.error ->> 'code' IN ({_TAKEN_BACK}) THEN 'fenced'
        WHEN coalesce(run.error ->> 'code', 'given_back') IN ({_NOT_BEGUN}) THEN 'not_running'
        ELSE 'ended_itself'
    END AS how, coalesce(run.error ->> 'code', '') AS code
FROM tasks LEFT JOIN LATERAL (
    SELECT epoch, ended_at, error, last_heard_at, stopped_at FROM task_attempts
    WHERE task_id = tasks.id ORDER BY epoch DESC LIMIT 1
) AS run ON true
WHERE (cancelled_with = $1 OR detached AND parent_id IN (
    SELECT id FROM tasks AS stopped WHERE stopped.cancelled_with = $1
)) AND ($2::uuid IS NULL OR tasks.id > $2)
ORDER BY tasks.id LIMIT $3
"""


async def nodes(
    tx: Transaction, top: uuid.UUID, *, after: tuple[int, uuid.UUID] | None, limit: int
) -> list[TreeNode]:
    """One page of the task and everything below it, level by level, and one more if there is."""
    depth, last = after or (None, None)
    rows = await tx.fetch(_NODES, top, depth, last, limit + 1)
    return [_to_node(row) for row in rows]


async def place(tx: Transaction, task_id: uuid.UUID) -> Place:
    """Where a task stands in its tree."""
    row = await tx.fetch_one(
        """
        SELECT parent_id, coalesce(root_id, id) AS root_id, depth, child_name, detached
        FROM tasks WHERE id = $1
        """,
        task_id,
    )
    return Place(**dict(row)) if row else Place.alone(task_id)


async def cancellation(tx: Transaction, task_id: uuid.UUID) -> Cancellation | None:
    """Who has stopped the task, and what was stopped with it; None if nobody has."""
    row = await tx.fetch_one(
        """
        SELECT cancelled_with AS top_id, cancel_requested_at AS requested_at,
            coalesce(cancel_requested_by, '') AS requested_by,
            coalesce(cancel_reason, '') AS reason, parts.tasks, parts.stopping, parts.last_at
        FROM tasks CROSS JOIN LATERAL (
            SELECT count(*) AS tasks, count(*) FILTER (WHERE finished_at IS NULL) AS stopping,
                max(finished_at) AS last_at
            FROM tasks AS part WHERE part.cancelled_with = tasks.cancelled_with
        ) AS parts
        WHERE id = $1 AND cancelled_with IS NOT NULL
        """,
        task_id,
    )
    return Cancellation(**dict(row)) if row else None


async def stopped(
    tx: Transaction, top: uuid.UUID, *, after: uuid.UUID | None, limit: int
) -> list[Stopped]:
    """One page of what was stopped with a task, and one more if there is."""
    rows = await tx.fetch(_STOPPED, top, after, limit + 1)
    return [_to_stopped(row) for row in rows]


def _to_node(row: Row) -> TreeNode:
    values = dict(row)
    values["id"] = TaskId(values["id"])
    values["state"] = TaskState(values["state"])
    values["error"] = to_problem(values["error"])
    return TreeNode(**values)


def _to_stopped(row: Row) -> Stopped:
    values = dict(row)
    values["id"] = TaskId(values["id"])
    values["state"] = TaskState(values["state"])
    ended_at, is_fenced = values.pop("ended_at"), values["how"] == "fenced"
    values["fenced_at"] = ended_at if is_fenced else None
    if not is_fenced:  # then the end of the run is known
        values["stopped_at"], values["last_heard_at"] = ended_at, None
    return Stopped(**values)

"""SQL of leases that tasks had."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.features.tasks.types import TaskId
from orchestra.foundation.database import Transaction


@dataclass(frozen=True, slots=True)
class Concerned:
    """Whose lease it was, for whom, and whether the task is for that very agent."""

    agent_id: uuid.UUID
    user_id: uuid.UUID
    is_addressed: bool


async def concerned(
    tx: Transaction, leases: Sequence[tuple[TaskId, int]]
) -> dict[TaskId, Concerned]:
    """Which agents had these leases, and for which users, by task."""
    rows = await tx.fetch(
        """
        SELECT tasks.id, task_attempts.agent_id, user_id,
            queue = task_attempts.agent_id::text AS is_addressed
        FROM task_attempts
        JOIN unnest($1::uuid[], $2::bigint[]) AS given (task_id, epoch)
            ON given.task_id = task_attempts.task_id AND given.epoch = task_attempts.epoch
        JOIN tasks ON tasks.id = given.task_id
        """,
        [task_id for task_id, _ in leases],
        [epoch for _, epoch in leases],
    )
    return {
        TaskId(row["id"]): Concerned(row["agent_id"], row["user_id"], row["is_addressed"])
        for row in rows
    }


async def strikes(tx: Transaction, ids: Sequence[TaskId]) -> dict[TaskId, float]:
    """What counts against running tasks that are just losing their agents, by task.

    One for each loss; half of one where another task was lost with the same agent that had begun
    later, or in the same moment. Others may be lost in later transactions: what runs there counts.
    """
    rows = await tx.fetch(
        """
        WITH losses AS (
            SELECT task_id, agent_id, started_at, coalesce(ended_at, now()) AS lost_at,
                ended_at IS NULL AS is_now
            FROM task_attempts WHERE task_id = ANY($1::uuid[]) AND (
                ended_at IS NULL OR outcome = 'lost' AND error ->> 'code' = 'agent_lost'
            )
        )
        SELECT task_id, sum(CASE WHEN EXISTS (
            SELECT FROM task_attempts AS other
            WHERE other.agent_id = losses.agent_id AND other.task_id <> losses.task_id
                AND other.started_at >= losses.started_at AND other.started_at < lost_at
                AND other.outcome = 'lost' AND other.error ->> 'code' = 'agent_lost'
        ) OR is_now AND EXISTS (
            SELECT FROM tasks AS other
            WHERE other.agent_id = losses.agent_id AND other.id <> losses.task_id
                AND other.state IN ('running', 'cancelling')
                AND other.started_at >= losses.started_at
        ) THEN 0.5 ELSE 1.0 END)::float8 AS strikes
        FROM losses GROUP BY task_id
        """,
        list(ids),
    )
    return {TaskId(row["task_id"]): row["strikes"] for row in rows}


async def users_at(
    tx: Transaction, agent_ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, frozenset[uuid.UUID]]:
    """Whose tasks these agents have now."""
    rows = await tx.fetch(
        """
        SELECT agent_id, array_agg(DISTINCT user_id) AS users FROM tasks
        WHERE agent_id = ANY($1::uuid[]) AND state IN ('running', 'cancelling')
        GROUP BY agent_id
        """,
        list(agent_ids),
    )
    return {row["agent_id"]: frozenset(row["users"]) for row in rows}


async def forgive(
    tx: Transaction, agent_id: uuid.UUID, leases: Sequence[tuple[TaskId, int]], *, code: str
) -> int:
    """Leases that this agent was taken for lost with, and that count so no more; how many.

    In two statements: what the lock was waited for is seen only by the next.
    """
    ids = [task_id for task_id, _ in leases]
    await tx.execute(
        "SELECT FROM tasks WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE", ids
    )
    forgiven: int = await tx.fetch_value(
        """
        WITH away AS (
            UPDATE task_attempts SET error = jsonb_set(error, '{code}', to_jsonb($4::text))
            FROM unnest($1::uuid[], $2::bigint[]) AS given (task_id, epoch)
            WHERE task_attempts.task_id = given.task_id AND task_attempts.epoch = given.epoch
                AND agent_id = $3 AND outcome = 'lost' AND error ->> 'code' = 'agent_lost'
            RETURNING task_attempts.task_id
        ), counted AS (
            UPDATE tasks SET agents_lost = agents_lost - back.count
            FROM (SELECT task_id, count(*) AS count FROM away GROUP BY task_id) AS back
            WHERE tasks.id = back.task_id
        )
        SELECT count(*) FROM away
        """,
        ids,
        [epoch for _, epoch in leases],
        agent_id,
        code,
    )
    return forgiven

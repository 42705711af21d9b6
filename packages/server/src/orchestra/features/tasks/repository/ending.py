"""SQL that ends runs and tasks: lock, decide in Python by the transition table, write."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestra.features.tasks.repository.rows import encoded, to_retry
from orchestra.features.tasks.types import (
    TERMINAL,
    Life,
    Priority,
    QueueName,
    RetryPolicy,
    TaskId,
    TaskState,
)
from orchestra.foundation.database import Database, Row, Transaction, without_nul

# How the attempt of a task ended that has given its slot back.
SUSPENDED = "suspended"
# Of one that had not begun when its agent gave it back.
RETURNED = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """What a transition needs of a task whose row is locked."""

    id: TaskId
    life: Life
    queue: QueueName
    capability: str
    priority: Priority
    user_id: uuid.UUID
    agent_id: uuid.UUID | None
    agent_name: str
    wants_finish: bool
    retry: RetryPolicy | None = None
    agents_lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A decided transition; JSON is encoded. `ends_epoch` is the lease that it ends, if any."""

    id: TaskId
    life: Life
    ends_epoch: int | None
    outcome: str
    result_json: bytes | None = None
    error_json: bytes | None = None  # of the task, once it has failed
    attempt_error_json: bytes | None = None
    usage_json: bytes | None = None
    delay_seconds: float = 0.0
    text: str | None = None  # what it said, for those who read it later; None: as last saved
    sequence: int = 0  # of the event that ends it


async def lock(tx: Transaction, ids: Sequence[TaskId]) -> dict[TaskId, Locked]:
    """Locks the tasks, in the order of their ids so that two callers cannot wait for each other."""
    rows = await tx.fetch(
        """
        SELECT id, state, epoch, attempt, max_attempts, queue, capability, priority, user_id,
            agent_id, wants_finish, retry, agents_lost, coalesce((
                SELECT agent_name FROM task_attempts
                WHERE task_id = tasks.id AND task_attempts.epoch = tasks.epoch
            ), '') AS agent_name
        FROM tasks WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE
        """,
        list(ids),
    )
    return {TaskId(row["id"]): _to_locked(row) for row in rows}


_APPLY = """
WITH given AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::text[], $3::bigint[], $4::jsonb[], $5::jsonb[], $6::jsonb[], $7::float8[],
        $8::boolean[], $9::text[], $10::bigint[], $11::bigint[], $12::text[], $13::jsonb[],
        $14::integer[]
    ) AS given (id, state, epoch, result, error, usage, delay, is_over, text, sequence, ends_epoch,
        outcome, attempt_error, attempt)
), ended AS (
    UPDATE task_attempts SET ended_at = now(), outcome = given.outcome, error = given.attempt_error
    FROM given WHERE task_id = given.id AND task_attempts.epoch = given.ends_epoch
)
UPDATE tasks SET
    state = given.state, epoch = given.epoch, attempt = given.attempt,
    result = given.result, error = given.error, usage = given.usage, lease_expires_at = NULL,
    run_deadline = NULL,
    agent_id = CASE WHEN given.is_over THEN tasks.agent_id END,
    run_after = CASE WHEN given.delay > 0 THEN now() + make_interval(secs => given.delay) END,
    queue_deadline = CASE WHEN given.state = 'queued'
        THEN now() + make_interval(secs => given.delay + queue_timeout_seconds) END,
    finished_at = CASE WHEN given.is_over THEN clock_timestamp() END,
    finish_pending = given.is_over AND wants_finish,
    agents_lost = agents_lost
        + coalesce(given.outcome = 'lost' AND given.attempt_error ->> 'code' = 'agent_lost',
            false)::int,
    snapshot_text = coalesce(given.text, snapshot_text),
    snapshot_epoch = CASE WHEN given.is_over OR given.state = 'waiting' THEN given.epoch
        ELSE snapshot_epoch END,
    snapshot_sequence = CASE WHEN given.is_over OR given.state = 'waiting' THEN given.sequence
        ELSE snapshot_sequence END
FROM given WHERE tasks.id = given.id
"""


# `finished_at` is not the beginning of a transaction that may have waited for others: a tree ends
# after everything in it.
async def apply(tx: Transaction, changes: Sequence[Change]) -> None:
    """Writes transitions of locked tasks, and how their attempts ended."""
    await tx.execute(
        _APPLY,
        [change.id for change in changes],
        [change.life.state for change in changes],
        [change.life.epoch for change in changes],
        [encoded(change.result_json) for change in changes],
        [encoded(change.error_json) for change in changes],
        [encoded(change.usage_json) for change in changes],
        [change.delay_seconds for change in changes],
        [change.life.state in TERMINAL for change in changes],
        [None if change.text is None else without_nul(change.text) for change in changes],
        [change.sequence for change in changes],
        [change.ends_epoch for change in changes],
        [change.outcome for change in changes],
        [encoded(change.attempt_error_json) for change in changes],
        [change.life.attempt for change in changes],
    )


async def mark_cancelling(tx: Transaction, lives: Mapping[TaskId, Life]) -> None:
    """Says of tasks, whose rows are locked, that they are asked to stop."""
    await tx.execute(
        """
        UPDATE tasks SET state = given.state, epoch = given.epoch
        FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS given (id, state, epoch)
        WHERE tasks.id = given.id
        """,
        list(lives),
        [life.state for life in lives.values()],
        [life.epoch for life in lives.values()],
    )


async def count_refused(tx: Transaction, task_id: TaskId) -> None:
    """A write under a lease that is over came and was refused."""
    await tx.execute(
        """
        UPDATE tasks SET refused_writes = refused_writes + 1, last_refused_at = now()
        WHERE id = $1
        """,
        task_id,
    )


async def untold(database: Database, *, limit: int) -> list[TaskId]:
    """Tasks at whose end somebody wants to be called and was not; nothing is locked."""
    rows = await database.fetch(
        """
        SELECT id FROM tasks
        WHERE finish_pending AND (finish_retry_at IS NULL OR finish_retry_at <= now())
        ORDER BY id LIMIT $1
        """,
        limit,
    )
    return [TaskId(row["id"]) for row in rows]


async def take_finished(tx: Transaction, ids: Sequence[TaskId]) -> list[TaskId]:
    """Those of the tasks that nobody was told of yet; they count as told when `tx` commits."""
    rows = await tx.fetch(
        """
        UPDATE tasks SET finish_pending = false WHERE id = ANY($1::uuid[]) AND finish_pending
        RETURNING id
        """,
        list(ids),
    )
    return sorted(TaskId(row["id"]) for row in rows)


async def put_back_finished(tx: Transaction, ids: Sequence[TaskId]) -> None:
    """Nobody could be told of these: again after as long as they have been over, so ever later."""
    if ids:
        await tx.execute(
            """
            UPDATE tasks SET finish_pending = true, finish_retry_at = now()
                + least(greatest(now() - finished_at, interval '1 second'), interval '5 minutes')
            WHERE id = ANY($1::uuid[])
            """,
            list(ids),
        )


def _to_locked(row: Row) -> Locked:
    return Locked(
        id=TaskId(row["id"]),
        life=Life(TaskState(row["state"]), row["epoch"], row["attempt"], row["max_attempts"]),
        queue=QueueName(row["queue"]),
        capability=row["capability"],
        priority=Priority(row["priority"]),
        user_id=row["user_id"],
        agent_id=row["agent_id"],
        agent_name=row["agent_name"],
        wants_finish=row["wants_finish"],
        retry=to_retry(row["retry"]),
        agents_lost=row["agents_lost"],
    )

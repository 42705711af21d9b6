"""SQL that puts tasks into the database, many in one statement."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestra.features.blobs import Sha256
from orchestra.features.tasks.repository.rows import FULL, encoded, to_task
from orchestra.features.tasks.types import Priority, QueueName, Task, TaskId
from orchestra.foundation.database import Database, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedTask:
    """A task that was checked, with its defaults filled in; `input_json` is encoded."""

    id: TaskId
    queue: QueueName
    capability: str
    priority: Priority
    user_id: uuid.UUID
    input_json: bytes
    idempotency_key: str | None
    request_hash: bytes  # of what an idempotency key, or a child's name, stands for
    affinity_key: str | None
    trace_parent: str | None
    max_attempts: int
    queue_timeout_seconds: float
    run_timeout_seconds: float
    progress_timeout_seconds: float
    wants_finish: bool
    delay_seconds: float | None = None  # from now, by the database's clock
    run_at: datetime | None = None
    deadline_seconds: float | None = None
    retry_json: bytes | None = None
    blobs: Sequence[Sha256] = ()  # that the input refers to


# First the shares of the users, in one order, then the tasks in that of their keys: whoever takes
# tasks in waits for others in these orders only. Start-time fair queueing: a task starts at the
# queue's virtual time, or where its user's last one ends. What is delayed gets its place when its
# time has come; what turns out to be a repetition is refunded (`refund`).
_INSERT = """
WITH said AS (
    SELECT *, CASE WHEN run_at > now() OR delay > 0
        THEN greatest(run_at, now() + make_interval(secs => delay)) END AS run_after
    FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::uuid[], $6::jsonb[], $7::text[],
        $8::bytea[], $9::text[], $10::text[], $11::integer[], $12::float8[], $13::float8[],
        $14::float8[], $15::boolean[], $16::float8[], $17::timestamptz[], $18::float8[],
        $19::jsonb[]
    ) WITH ORDINALITY AS said (
        id, queue, capability, priority, user_id, input, idempotency_key, request_hash,
        affinity_key, trace_parent, max_attempts, queue_timeout, run_timeout, progress_timeout,
        wants_finish, delay, run_at, deadline, retry, place
    )
), given AS MATERIALIZED (
    SELECT *, row_number() OVER (
        PARTITION BY queue, priority, user_id, run_after IS NULL ORDER BY place
    ) AS turn
    FROM said
), wanted AS MATERIALIZED (
    SELECT queue, priority, user_id, coalesce(virtual_time, 0) AS start_tag,
        coalesce(weight, 1) AS weight, count(*) AS count
    FROM given LEFT JOIN fair_clocks USING (queue, priority) LEFT JOIN user_weights USING (user_id)
    WHERE run_after IS NULL GROUP BY queue, priority, user_id, virtual_time, weight
), charged AS (
    INSERT INTO fair_shares AS share (queue, priority, user_id, is_return, start_tag, finish_tag)
    SELECT queue, priority, user_id, false, start_tag, start_tag + count / weight FROM wanted
    ORDER BY queue, priority, user_id
    ON CONFLICT (queue, priority, user_id, is_return) DO UPDATE SET
        start_tag = greatest(share.finish_tag, excluded.start_tag),
        finish_tag = greatest(share.finish_tag, excluded.start_tag)
            + excluded.finish_tag - excluded.start_tag
    RETURNING queue, priority, user_id, start_tag
)
INSERT INTO tasks (
    id, queue, capability, priority, state, user_id, input, idempotency_key, request_hash,
    affinity_key, trace_parent, epoch, max_attempts, queue_timeout_seconds, queue_deadline,
    run_timeout_seconds, progress_timeout_seconds, wants_finish, created_at, run_after, fair_tag,
    deadline, retry
)
SELECT
    id, queue, capability, priority, 'queued', user_id, input, idempotency_key, request_hash,
    affinity_key, trace_parent, 1, max_attempts, queue_timeout,
    greatest(now(), run_after) + make_interval(secs => queue_timeout), run_timeout,
    progress_timeout, wants_finish, now(), run_after,
    CASE WHEN run_after IS NULL THEN charged.start_tag + (turn - 1) / weight ELSE 0 END,
    now() + make_interval(secs => deadline), retry
FROM given LEFT JOIN wanted USING (queue, priority, user_id)
    LEFT JOIN charged USING (queue, priority, user_id)
ORDER BY user_id, idempotency_key, place
ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING id, created_at
"""
# The shares are those that the insert before has charged; later tasks of the same users may share a
# place with earlier ones then, which does no harm.
_REFUND = """
WITH spared AS (
    SELECT queue, priority, user_id, count(*) AS count
    FROM unnest($1::text[], $2::smallint[], $3::uuid[]) AS given (queue, priority, user_id)
    GROUP BY queue, priority, user_id
), locked AS MATERIALIZED (
    SELECT share.queue, share.priority, share.user_id, count / coalesce(weight, 1) AS cost
    FROM fair_shares AS share JOIN spared USING (queue, priority, user_id)
        LEFT JOIN user_weights USING (user_id)
    WHERE NOT is_return ORDER BY queue, priority, user_id FOR UPDATE OF share
)
UPDATE fair_shares AS share SET finish_tag = finish_tag - cost FROM locked
WHERE share.queue = locked.queue AND share.priority = locked.priority
    AND share.user_id = locked.user_id AND NOT share.is_return
"""


_BY_KEY = f"""
SELECT {FULL}, idempotency_key, request_hash FROM tasks
WHERE (user_id, idempotency_key) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))
"""


async def insert(
    tx: Transaction | Database, tasks: Sequence[PreparedTask]
) -> dict[TaskId, datetime]:
    """Adds tasks and says which are new; the others' idempotency keys were used before."""
    inserted = await tx.fetch(
        _INSERT,
        [row.id for row in tasks],
        [row.queue for row in tasks],
        [row.capability for row in tasks],
        [int(row.priority) for row in tasks],
        [row.user_id for row in tasks],
        [encoded(row.input_json) for row in tasks],
        [row.idempotency_key for row in tasks],
        [row.request_hash for row in tasks],
        [row.affinity_key for row in tasks],
        [row.trace_parent for row in tasks],
        [row.max_attempts for row in tasks],
        [row.queue_timeout_seconds for row in tasks],
        [row.run_timeout_seconds for row in tasks],
        [row.progress_timeout_seconds for row in tasks],
        [row.wants_finish for row in tasks],
        [row.delay_seconds for row in tasks],
        [row.run_at for row in tasks],
        [row.deadline_seconds for row in tasks],
        [encoded(row.retry_json) for row in tasks],
    )
    created = {TaskId(row["id"]): row["created_at"] for row in inserted}
    if len(created) < len(tasks):
        await _refund(tx, [task for task in tasks if task.id not in created])
    return created


async def _refund(tx: Transaction | Database, repeated: Sequence[PreparedTask]) -> None:
    """Takes back what was charged for tasks that were there already."""
    charged = [task for task in repeated if task.delay_seconds is None and task.run_at is None]
    await tx.fetch(
        _REFUND,
        [task.queue for task in charged],
        [int(task.priority) for task in charged],
        [task.user_id for task in charged],
    )


async def by_idempotency_key(
    tx: Transaction | Database, keys: Sequence[tuple[uuid.UUID, str]]
) -> dict[tuple[uuid.UUID, str], tuple[Task, bytes]]:
    """The tasks made with these keys of these users, each with the hash of its request."""
    rows = await tx.fetch(
        _BY_KEY,
        [user_id for user_id, _ in keys],
        [key for _, key in keys],
    )
    return {
        (row["user_id"], row["idempotency_key"]): (
            to_task(row, is_repeated=True),
            row["request_hash"],
        )
        for row in rows
    }


async def count_by_queue(tx: Transaction) -> dict[QueueName, int]:
    """How many tasks wait in each queue, those included that may not run yet."""
    rows = await tx.fetch(
        "SELECT queue, count(*) AS count FROM tasks WHERE state = 'queued' GROUP BY queue"
    )
    return {QueueName(row["queue"]): row["count"] for row in rows}

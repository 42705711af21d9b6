"""SQL that puts tasks into the database, many in one statement."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

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
    request_hash: bytes
    affinity_key: str | None
    trace_parent: str | None
    max_attempts: int
    queue_timeout_seconds: float
    run_timeout_seconds: float
    progress_timeout_seconds: float
    wants_finish: bool


_INSERT = """
INSERT INTO tasks (
    id, queue, capability, priority, state, user_id, input, idempotency_key, request_hash,
    affinity_key, trace_parent, epoch, max_attempts, queue_timeout_seconds, queue_deadline,
    run_timeout_seconds, progress_timeout_seconds, wants_finish, created_at
)
SELECT
    id, queue, capability, priority, 'queued', user_id, input, idempotency_key, request_hash,
    affinity_key, trace_parent, 1, max_attempts, queue_timeout,
    now() + make_interval(secs => queue_timeout), run_timeout, progress_timeout, wants_finish, now()
FROM unnest(
    $1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::uuid[], $6::jsonb[], $7::text[],
    $8::bytea[], $9::text[], $10::text[], $11::integer[], $12::float8[], $13::float8[],
    $14::float8[], $15::boolean[]
) AS given (
    id, queue, capability, priority, user_id, input, idempotency_key, request_hash, affinity_key,
    trace_parent, max_attempts, queue_timeout, run_timeout, progress_timeout, wants_finish
)
ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING id, created_at
"""


_BY_KEY = f"""
SELECT {FULL}, idempotency_key, request_hash FROM tasks
WHERE (user_id, idempotency_key) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))
"""


async def insert(
    tx: Transaction | Database, tasks: Sequence[PreparedTask]
) -> dict[TaskId, datetime]:
    """Adds tasks and says which are new; the others' idempotency keys were used before.

    In the order of the keys, so that two batches with the same keys cannot wait for each other.
    """
    rows = sorted(tasks, key=lambda task: (task.user_id, task.idempotency_key or ""))
    inserted = await tx.fetch(
        _INSERT,
        [row.id for row in rows],
        [row.queue for row in rows],
        [row.capability for row in rows],
        [int(row.priority) for row in rows],
        [row.user_id for row in rows],
        [encoded(row.input_json) for row in rows],
        [row.idempotency_key for row in rows],
        [row.request_hash for row in rows],
        [row.affinity_key for row in rows],
        [row.trace_parent for row in rows],
        [row.max_attempts for row in rows],
        [row.queue_timeout_seconds for row in rows],
        [row.run_timeout_seconds for row in rows],
        [row.progress_timeout_seconds for row in rows],
        [row.wants_finish for row in rows],
    )
    return {TaskId(row["id"]): row["created_at"] for row in inserted}


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


async def count_waiting(tx: Transaction) -> int:
    count: int = await tx.fetch_value("SELECT count(*) FROM tasks WHERE state = 'queued'")
    return count

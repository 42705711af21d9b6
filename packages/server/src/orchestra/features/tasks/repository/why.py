"""SQL of what a waiting task waits for: its own row, its place in line, and who could take it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestra.features.tasks.repository.limits import BUCKETS
from orchestra.features.tasks.types import Priority, QueueName, TaskId, TaskState
from orchestra.foundation.database import Row, Transaction

# Counted to here; who is further behind is told "more than".
MAX_AHEAD = 100_000
# Looked at to say when a slot is free; of more that run, these stand for all.
MAX_RUNNING = 1_000
# Of as many of their queues the durations are read, of each those of its newest tasks: so many that
# succeeded, among so many that ended. Of other queues nothing is known.
MAX_MEASURED_QUEUES, MEASURED, MEASURED_AMONG = 20, 50, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A task's own row, as far as it says why the task does not run."""

    id: TaskId
    state: TaskState
    queue: QueueName
    capability: str
    priority: Priority
    user_id: uuid.UUID
    epoch: int
    attempt: int
    max_attempts: int
    fair_tag: float
    run_after: datetime | None
    seconds_left: float | None  # to `run_after`
    agent_name: str
    has_run: bool  # an agent has its lease
    started_at: datetime | None
    paused_at: datetime | None  # of its queue
    paused_by: str | None
    wait_names: Sequence[str]
    wait_any: bool
    wait_until: datetime | None
    wait_seconds: float | None
    buckets: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An agent that serves a queue; `is_for` everybody, or the task's own user."""

    id: uuid.UUID
    name: str
    status: str
    reason: str
    is_for: bool
    slots: int
    in_use: int
    is_drained: bool
    is_quarantined: bool
    quarantine_until: datetime | None
    queues: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A task that an agent has, and for how many seconds."""

    agent_id: uuid.UUID
    queue: QueueName
    elapsed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """A step that a waiting task waits for."""

    name: str
    kind: str
    child_id: uuid.UUID | None
    due_at: datetime | None
    approval_id: uuid.UUID | None
    question: str | None
    asked_user: uuid.UUID | None
    expires_at: datetime | None


_FACTS = f"""
SELECT tasks.id, state, tasks.queue, capability, priority, tasks.user_id, epoch, attempt,
    max_attempts, fair_tag, run_after,
    extract(epoch FROM run_after - now())::float8 AS seconds_left,
    coalesce((
        SELECT agent_name FROM task_attempts WHERE task_id = tasks.id ORDER BY epoch DESC LIMIT 1
    ), '') AS agent_name, agent_id IS NOT NULL AS has_run,
    started_at, paused_at, paused_by, wait_names, wait_any, wait_until,
    extract(epoch FROM wait_until - now())::float8 AS wait_seconds,
    CASE WHEN state = 'queued' THEN {BUCKETS} ELSE '{{}}' END AS buckets
FROM tasks LEFT JOIN queues ON queues.name = tasks.queue WHERE tasks.id = $1
"""
# The nearest first, so that those that can be named are the ones that matter.
_SERVERS = """
SELECT id, name, status, reason, shared OR owner_id = $2 AS is_for, slots, (
        SELECT count(*) FROM tasks WHERE tasks.agent_id = agents.id
            AND state IN ('running', 'cancelling')
    ) AS in_use, drained_at IS NOT NULL AS is_drained,
    quarantined_at IS NOT NULL AS is_quarantined, quarantine_until, capabilities AS queues
FROM agents WHERE $1 = ANY(capabilities) OR id::text = $1
ORDER BY status = 'offline', name LIMIT 10000
"""
_AWAITED = """
SELECT step.name, step.kind, step.child_id, step.due_at, step.approval_id, question,
    approval.user_id AS asked_user, expires_at
FROM task_steps AS step LEFT JOIN approvals AS approval ON approval.id = step.approval_id
WHERE step.task_id = $1 AND step.name = ANY($2::text[]) AND step.settled_at IS NULL
ORDER BY step.created_at, step.name LIMIT 10000
"""


# The heads of every queue: those that could run, those that a limit holds back, and what is due
# next of all that may not run yet. Jumps along the indexes.
_NEXT = """
WITH RECURSIVE found AS (
    (SELECT queue FROM tasks
     WHERE state = 'queued' AND run_after IS NULL AND blocked_on IS NULL ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT next.queue FROM found CROSS JOIN LATERAL (
        SELECT queue FROM tasks
        WHERE state = 'queued' AND run_after IS NULL AND blocked_on IS NULL
            AND queue > found.queue ORDER BY queue LIMIT 1
    ) AS next
), held AS (
    (SELECT queue, blocked_on FROM tasks
     WHERE state = 'queued' AND blocked_on IS NOT NULL ORDER BY queue, blocked_on LIMIT 1)
    UNION ALL
    SELECT next.queue, next.blocked_on FROM held CROSS JOIN LATERAL (
        SELECT queue, blocked_on FROM tasks
        WHERE state = 'queued' AND blocked_on IS NOT NULL
            AND (queue, blocked_on) > (held.queue, held.blocked_on)
        ORDER BY queue, blocked_on LIMIT 1
    ) AS next
)
SELECT id FROM (
    SELECT head.* FROM (SELECT * FROM found LIMIT 100) AS found CROSS JOIN LATERAL (
        SELECT id, created_at FROM tasks
        WHERE queue = found.queue AND state = 'queued' AND run_after IS NULL
            AND blocked_on IS NULL ORDER BY priority DESC, fair_tag, id LIMIT $2
    ) AS head
    UNION ALL
    SELECT head.* FROM (SELECT * FROM held LIMIT 100) AS held CROSS JOIN LATERAL (
        SELECT id, created_at FROM tasks
        WHERE queue = held.queue AND state = 'queued' AND blocked_on = held.blocked_on
        ORDER BY priority DESC, fair_tag, id LIMIT 1
    ) AS head
    UNION ALL (
        SELECT id, created_at FROM tasks WHERE state = 'queued' AND run_after IS NOT NULL
        ORDER BY run_after LIMIT $2
    )
) AS head
WHERE created_at < now() - make_interval(secs => $1) LIMIT $3
"""


async def next_in_line(
    tx: Transaction, *, seconds: float, of_each: int, limit: int
) -> list[TaskId]:
    """Tasks that have waited for so long, the first of each queue."""
    rows = await tx.fetch(_NEXT, seconds, of_each, limit)
    return [TaskId(row["id"]) for row in rows]


async def facts(tx: Transaction, task_id: uuid.UUID) -> Facts | None:
    row = await tx.fetch_one(_FACTS, task_id)
    return _to_facts(row) if row else None


async def servers(tx: Transaction, queue: QueueName, user_id: uuid.UUID) -> list[Server]:
    """The agents that serve a queue, connected or not."""
    return [Server(**dict(row)) for row in await tx.fetch(_SERVERS, queue, user_id)]


async def running(tx: Transaction, agents: Sequence[uuid.UUID]) -> list[Running]:
    """What these agents have; at most `MAX_RUNNING`, whichever come first."""
    rows = await tx.fetch(
        """
        SELECT agent_id, queue,
            greatest(0, extract(epoch FROM clock_timestamp() - started_at))::float8 AS elapsed
        FROM tasks WHERE agent_id = ANY($1::uuid[]) AND state IN ('running', 'cancelling')
        LIMIT $2
        """,
        list(agents),
        MAX_RUNNING,
    )
    return [Running(**dict(row)) for row in rows]


async def took(tx: Transaction, queues: Sequence[str]) -> dict[str, list[float]]:
    """How many seconds the newest tasks of each queue ran in the attempt that succeeded."""
    rows = await tx.fetch(
        """
        SELECT name, array(
            SELECT extract(epoch FROM finished_at - started_at)::float8 FROM (
                SELECT state, started_at, finished_at FROM tasks
                WHERE queue = name AND finished_at IS NOT NULL
                ORDER BY finished_at DESC LIMIT $3
            ) AS newest WHERE state = 'succeeded' AND started_at <= finished_at LIMIT $2
        ) AS seconds FROM unnest($1::text[]) AS given (name)
        """,
        list(queues)[:MAX_MEASURED_QUEUES],
        MEASURED,
        MEASURED_AMONG,
    )
    return {row["name"]: row["seconds"] for row in rows}


async def awaited(tx: Transaction, task_id: uuid.UUID, names: Sequence[str]) -> list[Awaited]:
    """Which of these steps of a task have not come to their end."""
    return [Awaited(**dict(row)) for row in await tx.fetch(_AWAITED, task_id, list(names))]


async def count_ahead(tx: Transaction, task: Facts, *, only_own: bool) -> int:
    """How many are claimed before the task, in its queue; counted up to `MAX_AHEAD`."""
    number: int = await tx.fetch_value(
        """
        SELECT count(*) FROM (
            SELECT 1 FROM tasks
            WHERE queue = $1 AND state = 'queued' AND run_after IS NULL AND blocked_on IS NULL
                AND priority >= $2 AND (priority > $2 OR (fair_tag, id) < ($3, $4))
                AND ($5::uuid IS NULL OR user_id = $5)
            LIMIT $6
        ) AS ahead
        """,
        task.queue,
        task.priority,
        task.fair_tag,
        task.id,
        task.user_id if only_own else None,
        MAX_AHEAD,
    )
    return number


async def count_elsewhere(tx: Transaction, task: Facts, queues: Sequence[str]) -> int:
    """How many as urgent wait in those of the queues that are others; up to `MAX_AHEAD`."""
    number: int = await tx.fetch_value(
        """
        SELECT count(*) FROM (
            SELECT 1 FROM tasks
            WHERE queue = ANY($1::text[]) AND queue <> $2 AND state = 'queued'
                AND run_after IS NULL AND blocked_on IS NULL AND priority >= $3
                AND NOT EXISTS (
                    SELECT FROM queues WHERE name = tasks.queue AND paused_at IS NOT NULL
                )
            LIMIT $4
        ) AS elsewhere
        """,
        list(queues),
        task.queue,
        task.priority,
        MAX_AHEAD,
    )
    return number


def _to_facts(row: Row) -> Facts:
    values = dict(row)
    values["state"], values["priority"] = TaskState(row["state"]), Priority(row["priority"])
    return Facts(**values)

"""SQL of queues: what was set for them, what is in them, and the weights of users."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestra.features.tasks.types import QueueName
from orchestra.foundation.database import Database, Row, Transaction, without_nul


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What was set for a queue; None: nothing was."""

    name: QueueName
    paused_at: datetime | None = None
    paused_by: str | None = None
    max_queued: int | None = None
    balancing: str | None = None
    keep_days: float | None = None
    keep_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCounts:
    """What is in a queue: tasks that wait for an agent, for a time, for room in a limit; runs."""

    waiting: int = 0
    delayed: int = 0
    limited: int = 0
    running: int = 0


# Settings by the names of their columns; nothing else is put into the statement.
SETTINGS = ("max_queued", "balancing", "keep_days", "keep_count")
_COLUMNS = "name, paused_at, paused_by, max_queued, balancing, keep_days, keep_count"
_COUNTS = """
WITH delayed AS MATERIALIZED (
    SELECT queue, count(*) AS count FROM tasks
    WHERE state = 'queued' AND run_after IS NOT NULL GROUP BY queue
), held AS MATERIALIZED (
    SELECT queue, count(*) AS count FROM tasks
    WHERE state IN ('running', 'cancelling') GROUP BY queue
)
SELECT name,
    (SELECT count(*) FROM tasks WHERE queue = name AND state = 'queued' AND run_after IS NULL
        AND blocked_on IS NULL) AS waiting,
    (SELECT count(*) FROM tasks WHERE queue = name AND state = 'queued'
        AND blocked_on IS NOT NULL) AS limited,
    coalesce((SELECT count FROM delayed WHERE queue = name), 0) AS delayed,
    coalesce((SELECT count FROM held WHERE queue = name), 0) AS running
FROM unnest($1::text[]) AS given (name)
"""
# Of one person: the queues of that person's tasks, and what agents can do for that person.
_NAMES = """
SELECT name FROM (
    SELECT unnest(capabilities) AS name FROM agents
        WHERE $1::uuid IS NULL OR shared OR owner_id = $1
    UNION SELECT queue FROM tasks
        WHERE state IN ('queued', 'running', 'cancelling', 'waiting')
            AND ($1::uuid IS NULL OR user_id = $1)
    UNION SELECT name FROM queues WHERE $1::uuid IS NULL
) AS found
WHERE $2::text IS NULL OR name > $2 ORDER BY name LIMIT $3
"""


async def names(
    tx: Transaction, *, viewer: uuid.UUID | None, after: str | None, limit: int
) -> list[QueueName]:
    """One page of the queues that somebody sees, and a name more if there is one."""
    rows = await tx.fetch(_NAMES, viewer, after, limit + 1)
    return [QueueName(row["name"]) for row in rows]


async def get_all(tx: Transaction, names: Sequence[QueueName]) -> dict[QueueName, Queue]:
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM queues WHERE name = ANY($1::text[])", list(names)
    )
    found = {QueueName(row["name"]): _to_queue(row) for row in rows}
    return {name: found.get(name, Queue(name=name)) for name in names}


async def counts(tx: Transaction, names: Sequence[QueueName]) -> dict[QueueName, QueueCounts]:
    rows = await tx.fetch(_COUNTS, list(names))
    return {
        QueueName(row["name"]): QueueCounts(
            waiting=row["waiting"],
            delayed=row["delayed"],
            limited=row["limited"],
            running=row["running"],
        )
        for row in rows
    }


async def change(tx: Transaction, name: QueueName, settings: Mapping[str, Any]) -> Queue:
    """Sets what is given, by the names in `SETTINGS`."""
    columns = [column for column in SETTINGS if column in settings]
    placeholders = [f"${place}" for place, _ in enumerate(columns, start=2)]
    values = "".join(f", {placeholder}" for placeholder in placeholders)
    updates = "".join(f"{column} = excluded.{column}, " for column in columns)
    row = await tx.fetch_one(
        f"""
        INSERT INTO queues (name{"".join(f", {column}" for column in columns)}, updated_at)
        VALUES ($1{values}, now())
        ON CONFLICT (name) DO UPDATE SET {updates} updated_at = now() RETURNING {_COLUMNS}
        """,
        name,
        *(settings[column] for column in columns),
    )
    if row is None:
        raise LookupError("an upsert returns its row")
    return _to_queue(row)


async def pause(tx: Transaction, name: QueueName, *, by: str) -> bool:
    """False if it was paused before."""
    changed = await tx.execute(
        """
        INSERT INTO queues AS queue (name, paused_at, paused_by, updated_at)
        VALUES ($1, now(), $2, now())
        ON CONFLICT (name) DO UPDATE
            SET paused_at = now(), paused_by = excluded.paused_by, updated_at = now()
            WHERE queue.paused_at IS NULL
        """,
        name,
        without_nul(by),
    )
    return changed > 0


async def resume(tx: Transaction, name: QueueName) -> bool:
    """False if it was not paused."""
    changed = await tx.execute(
        """
        UPDATE queues SET paused_at = NULL, paused_by = NULL, updated_at = now()
        WHERE name = $1 AND paused_at IS NOT NULL
        """,
        name,
    )
    return changed > 0


async def mark(tx: Transaction) -> str:
    """Names this transaction for `has_older`."""
    number: str = await tx.fetch_value("SELECT pg_current_xact_id()::text")
    return number


async def has_older(database: Database, mark: str) -> bool:
    """Whether one of our statements still runs that may not have seen what was committed then."""
    rows = await database.fetch(
        """
        SELECT 1 FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'orchestra'
            AND pid <> pg_backend_pid()
            AND greatest(age(backend_xmin), age(backend_xid)) >= age($1::text::xid8::xid)
        LIMIT 1
        """,
        mark,
    )
    return bool(rows)


async def bounds(tx: Transaction) -> dict[QueueName, int]:
    """The bounds that were set for single queues."""
    rows = await tx.fetch("SELECT name, max_queued FROM queues WHERE max_queued IS NOT NULL")
    return {QueueName(row["name"]): row["max_queued"] for row in rows}


async def set_weight(tx: Transaction, user_id: uuid.UUID, weight: float) -> bool:
    """False if there is no such user."""
    changed = await tx.execute(
        """
        INSERT INTO user_weights (user_id, weight)
        SELECT id, $2 FROM users_v2 WHERE id = $1
        ON CONFLICT (user_id) DO UPDATE SET weight = excluded.weight
        """,
        user_id,
        weight,
    )
    return changed > 0


async def weight(tx: Transaction, user_id: uuid.UUID) -> float | None:
    """1 unless it was set; None if there is no such user."""
    found: float | None = await tx.fetch_value(
        """
        SELECT coalesce(weight, 1) FROM users_v2
        LEFT JOIN user_weights ON user_id = users_v2.id WHERE users_v2.id = $1
        """,
        user_id,
    )
    return found


def _to_queue(row: Row) -> Queue:
    return Queue(**dict(row))

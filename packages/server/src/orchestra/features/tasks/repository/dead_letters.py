"""SQL of tasks that failed for good and that nobody has dealt with yet."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestra.features.tasks.repository.rows import BRIEF, to_problem, to_retry, to_task
from orchestra.features.tasks.types import (
    NewTask,
    Priority,
    Task,
    TaskId,
    TaskProblem,
)
from orchestra.foundation.database import Row, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadGroup:
    """Failures of a capability whose error differs in numbers and ids only.

    `error` is that of the newest. `fingerprint` names the group.
    """

    fingerprint: str
    count: int
    error: TaskProblem
    capability: str
    newest_id: TaskId
    first_at: datetime
    last_at: datetime


_DEAD = """state = 'failed' AND replayed_as IS NULL AND discarded_at IS NULL
    AND parent_id IS NULL"""
_OF = "($1::uuid IS NULL OR user_id = $1)"
# Named by half of the hash of the error, by which the index finds it, and half a hash of the other.
_NAME = "left(fingerprint, 8) || left(md5(capability), 8)"
_GROUPS = f"""
WITH found AS (
    SELECT {_NAME} AS name, fingerprint, capability, count(*) AS count,
        min(finished_at) AS first_at, max(finished_at) AS last_at
    FROM tasks WHERE {_DEAD} AND fingerprint IS NOT NULL AND {_OF}
    GROUP BY fingerprint, capability
    HAVING $2::timestamptz IS NULL OR (max(finished_at), {_NAME}) < ($2, $3)
    ORDER BY max(finished_at) DESC, name DESC LIMIT $4
)
SELECT found.*, newest.error, newest.id AS newest_id
FROM found CROSS JOIN LATERAL (
    SELECT error, id FROM tasks
    WHERE {_DEAD} AND {_OF} AND tasks.fingerprint = found.fingerprint
        AND tasks.capability = found.capability
    ORDER BY id DESC LIMIT 1
) AS newest
ORDER BY found.last_at DESC, found.name DESC
"""
_KIND = f"""
SELECT fingerprint, capability FROM tasks
WHERE {_DEAD} AND {_OF} AND {_NAME} = $2
    AND fingerprint BETWEEN left($2, 8) || '00000000' AND left($2, 8) || 'ffffffff'
ORDER BY fingerprint LIMIT 1
"""
_IN_GROUP = f"""
SELECT {BRIEF} FROM tasks
WHERE {_DEAD} AND {_OF} AND fingerprint = $2 AND capability = $3 AND ($4::uuid IS NULL OR id < $4)
ORDER BY id DESC LIMIT $5
"""
_CHOSEN = f"""{_DEAD} AND {_OF}
    AND ($2::text IS NULL OR (fingerprint = $2 AND capability = $3))
    AND ($4::uuid[] IS NULL OR id = ANY($4))"""
# As many as fit: who submits them again has their inputs in memory.
_TAKE = f"""
WITH chosen AS MATERIALIZED (
    SELECT id, sum(pg_column_size(input)) OVER (ORDER BY id) - pg_column_size(input) AS before
    FROM tasks WHERE {_CHOSEN} ORDER BY id LIMIT $5
)
SELECT id FROM tasks
WHERE {_DEAD} AND id IN (SELECT id FROM chosen WHERE before < $6) ORDER BY id FOR UPDATE
"""
_WISHES = """
SELECT id, user_id, queue, capability, priority, input, affinity_key, max_attempts, retry,
    queue_timeout_seconds, run_timeout_seconds, progress_timeout_seconds,
    extract(epoch FROM deadline - created_at)::float8 AS deadline_seconds
FROM tasks WHERE id = ANY($1::uuid[]) ORDER BY id
"""
# From each task back to the first that it does again: as long as the input is the same.
_FIRST = """
WITH RECURSIVE former AS (
    SELECT id AS last_id, id, replay_of, input, 0 AS distance
    FROM tasks WHERE id = ANY($1::uuid[])
    UNION ALL
    SELECT last_id, tasks.id, tasks.replay_of, tasks.input, distance + 1
    FROM former JOIN tasks ON tasks.id = former.replay_of AND tasks.input = former.input
    WHERE distance < 1000
)
SELECT DISTINCT ON (last_id) last_id, id FROM former ORDER BY last_id, distance DESC
"""
_COUNT = f"SELECT count(*) FROM tasks WHERE {_CHOSEN}"


# Its id, its owner, and what was wanted.
Letter = tuple[TaskId, uuid.UUID, NewTask]


async def groups(
    tx: Transaction,
    *,
    user_id: uuid.UUID | None,
    before: tuple[datetime, str] | None,
    limit: int,
) -> list[DeadGroup]:
    """One page and a group more if there is one; the group that failed last comes first."""
    last_at, name = before or (None, None)
    rows = await tx.fetch(_GROUPS, user_id, last_at, name, limit + 1)
    return [_to_group(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Kind:
    """What the failures of a group have in common."""

    fingerprint: str
    capability: str


async def kind(tx: Transaction, name: str, *, user_id: uuid.UUID | None) -> Kind | None:
    """Of which group this is the name; None if it is empty for the user."""
    row = await tx.fetch_one(_KIND, user_id, name)
    return Kind(row["fingerprint"], row["capability"]) if row else None


async def in_group(
    tx: Transaction,
    kind: Kind,
    *,
    user_id: uuid.UUID | None,
    before: uuid.UUID | None,
    limit: int,
) -> list[Task]:
    """One page and a task more if there is one, newest first, without inputs."""
    rows = await tx.fetch(_IN_GROUP, user_id, kind.fingerprint, kind.capability, before, limit + 1)
    return [to_task(row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Some by id, or all of a group; without `user_id` everybody's."""

    user_id: uuid.UUID | None
    kind: Kind | None = None
    ids: Sequence[uuid.UUID] | None = None

    @property
    def parameters(self) -> tuple[object, object, object, object]:
        kind = self.kind
        fingerprint, capability = (kind.fingerprint, kind.capability) if kind else (None, None)
        ids = None if self.ids is None else list(self.ids)
        return self.user_id, fingerprint, capability, ids


async def take(tx: Transaction, choice: Choice, *, limit: int, max_bytes: int) -> list[TaskId]:
    """Locks dead letters in the order of their ids, until their inputs have so many bytes."""
    rows = await tx.fetch(_TAKE, *choice.parameters, limit, max_bytes)
    return [TaskId(row["id"]) for row in rows]


async def wishes(tx: Transaction, ids: Sequence[TaskId]) -> list[Letter]:
    """In the order of their ids."""
    rows = await tx.fetch(_WISHES, list(ids))
    return [(TaskId(row["id"]), row["user_id"], _to_wish(row)) for row in rows]


async def count(tx: Transaction, choice: Choice) -> int:
    found: int = await tx.fetch_value(_COUNT, *choice.parameters)
    return found


async def note_replayed(tx: Transaction, pairs: Sequence[tuple[TaskId, TaskId]]) -> None:
    """Joins each dead letter and the task that was made of it."""
    old, new = [dead for dead, _ in pairs], [fresh for _, fresh in pairs]
    await tx.execute(
        """
        UPDATE tasks SET
            replayed_as = CASE WHEN tasks.id = given.old THEN given.new ELSE replayed_as END,
            replay_of = CASE WHEN tasks.id = given.new THEN given.old ELSE replay_of END
        FROM unnest($1::uuid[], $2::uuid[]) AS given (old, new)
        WHERE tasks.id IN (given.old, given.new)
        """,
        old,
        new,
    )


async def first_of(tx: Transaction, ids: Sequence[TaskId]) -> dict[TaskId, TaskId]:
    """Which task each of these does again, perhaps over others; itself after another input."""
    rows = await tx.fetch(_FIRST, list(ids))
    return {TaskId(row["last_id"]): TaskId(row["id"]) for row in rows}


async def note_discarded(tx: Transaction, ids: Sequence[TaskId]) -> None:
    await tx.execute("UPDATE tasks SET discarded_at = now() WHERE id = ANY($1::uuid[])", list(ids))


def _to_group(row: Row) -> DeadGroup:
    return DeadGroup(
        fingerprint=row["name"],
        count=row["count"],
        error=to_problem(row["error"]) or TaskProblem("failed", ""),
        capability=row["capability"],
        newest_id=TaskId(row["newest_id"]),
        first_at=row["first_at"],
        last_at=row["last_at"],
    )


def _to_wish(row: Row) -> NewTask:
    values: dict[str, Any] = dict(row)
    queue, capability = values.pop("queue"), values["capability"]
    del values["id"], values["user_id"]
    values["agent_id"] = None if queue == capability else uuid.UUID(queue)
    values["priority"] = Priority(values["priority"])
    values["retry"] = to_retry(values["retry"])
    return NewTask(**values)

"""SQL of steps: what a task has done, or has begun, once and for all, each under its name."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestra.features.tasks.repository.rows import encoded
from orchestra.features.tasks.types import Step, StepKind, TaskId, TaskProblem
from orchestra.foundation.database import Row, Transaction, without_nul


@dataclass(frozen=True, slots=True)
class Save:
    """What an effect has returned, as JSON."""

    task_id: TaskId
    epoch: int
    name: str
    output_json: bytes


@dataclass(frozen=True, slots=True)
class Known:
    """A step that a task has already."""

    kind: StepKind
    child_id: TaskId | None
    approval_id: uuid.UUID | None
    fingerprint: str


# What was asked for, in hexadecimal; empty where nothing was noted.
_FINGERPRINT = """
    coalesce(
        (SELECT data_hash FROM approvals WHERE approvals.id = task_steps.approval_id),
        (SELECT encode(request_hash, 'hex') FROM tasks WHERE tasks.id = task_steps.child_id), ''
    ) AS fingerprint"""
_COLUMNS = f"""
    name, kind, output, error, child_id, approval_id, due_at, epoch, created_at, settled_at,
    {_FINGERPRINT}"""


async def save(tx: Transaction, saves: Sequence[Save], *, most: int) -> set[TaskId]:
    """Keeps effects, one of each task, unless their names are taken or a task has `most` steps.

    Returns the tasks whose effects are kept by this call.
    """
    rows = await tx.fetch(
        """
        INSERT INTO task_steps (task_id, name, kind, output, epoch, created_at, settled_at)
        SELECT task_id, name, 'effect', output, epoch, now(), now()
        FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::jsonb[])
            AS given (task_id, epoch, name, output)
        WHERE (
            SELECT count(*) FROM task_steps AS step
            WHERE step.task_id = given.task_id AND kind <> 'child'
        ) < $5
        ON CONFLICT DO NOTHING RETURNING task_id
        """,
        [item.task_id for item in saves],
        [item.epoch for item in saves],
        [without_nul(item.name) for item in saves],
        [encoded(item.output_json) for item in saves],
        most,
    )
    return {TaskId(row["task_id"]) for row in rows}


async def begin_children(
    tx: Transaction, task_id: TaskId, epoch: int, children: Sequence[tuple[str, TaskId]]
) -> None:
    await tx.execute(
        """
        INSERT INTO task_steps (task_id, name, kind, child_id, epoch, created_at)
        SELECT $1, name, 'child', child_id, $2, now()
        FROM unnest($3::text[], $4::uuid[]) AS given (name, child_id)
        """,
        task_id,
        epoch,
        [without_nul(name) for name, _ in children],
        [child_id for _, child_id in children],
    )


async def copy(
    tx: Transaction, task_id: TaskId, into: TaskId, epoch: int, names: Sequence[str]
) -> None:
    """Gives a new task those of the outcomes of another."""
    await tx.execute(
        """
        INSERT INTO task_steps
            (task_id, name, kind, output, error, child_id, epoch, created_at, settled_at)
        SELECT $2, name, kind, output, error, child_id, $3, now(), now() FROM task_steps
        WHERE task_id = $1 AND name = ANY($4::text[]) AND settled_at IS NOT NULL
        """,
        task_id,
        into,
        epoch,
        [without_nul(name) for name in names],
    )


async def copy_effects(
    tx: Transaction, pairs: Sequence[tuple[TaskId, TaskId]], *, epoch: int
) -> set[TaskId]:
    """Gives each second task, if it has the input of the first, the effects of that.

    Returns those that have got some.
    """
    rows = await tx.fetch(
        """
        WITH copied AS (
            INSERT INTO task_steps (task_id, name, kind, output, epoch, created_at, settled_at)
            SELECT given.fresh, name, kind, output, $3, now(), now()
            FROM unnest($1::uuid[], $2::uuid[]) AS given (old, fresh)
                JOIN tasks AS former ON former.id = given.old
                JOIN tasks ON tasks.id = given.fresh AND tasks.input = former.input
                JOIN task_steps ON task_id = given.old AND kind = 'effect'
            RETURNING task_id
        )
        SELECT DISTINCT task_id FROM copied
        """,
        [old for old, _ in pairs],
        [fresh for _, fresh in pairs],
        epoch,
    )
    return {TaskId(row["task_id"]) for row in rows}


async def begin_question(
    tx: Transaction, task_id: TaskId, epoch: int, name: str, approval_id: uuid.UUID
) -> None:
    await tx.execute(
        """
        INSERT INTO task_steps (task_id, name, kind, approval_id, epoch, created_at)
        VALUES ($1, $2, 'question', $3, $4, now())
        """,
        task_id,
        without_nul(name),
        approval_id,
        epoch,
    )


async def begin_timers(
    tx: Transaction, task_id: TaskId, epoch: int, seconds: Mapping[str, float]
) -> list[tuple[StepKind, datetime | None]]:
    """Timers by their names; those begun under an earlier lease keep their time.

    Returns the kind of each, too: a name may be something else's.
    """
    rows = await tx.fetch(
        """
        INSERT INTO task_steps (task_id, name, kind, due_at, epoch, created_at)
        SELECT $1, name, 'timer', now() + make_interval(secs => seconds), $4, now()
        FROM unnest($2::text[], $3::float8[]) AS given (name, seconds)
        ON CONFLICT (task_id, name) DO UPDATE SET epoch = task_steps.epoch
        RETURNING kind, due_at
        """,
        task_id,
        list(seconds),
        list(seconds.values()),
        epoch,
    )
    return [(StepKind(row["kind"]), row["due_at"]) for row in rows]


async def named(tx: Transaction, task_id: TaskId, names: Sequence[str]) -> dict[str, Known]:
    """Those of the task's steps that have these names."""
    rows = await tx.fetch(
        f"""
        SELECT name, kind, child_id, approval_id, {_FINGERPRINT} FROM task_steps
        WHERE task_id = $1 AND name = ANY($2::text[])
        """,
        task_id,
        [without_nul(name) for name in names],
    )
    return {
        row["name"]: Known(
            StepKind(row["kind"]), row["child_id"], row["approval_id"], row["fingerprint"]
        )
        for row in rows
    }


async def count(tx: Transaction, task_id: TaskId, *, children: bool) -> int:
    """How many children the task has, or how many other steps."""
    found: int = await tx.fetch_value(
        "SELECT count(*) FROM task_steps WHERE task_id = $1 AND (kind = 'child') = $2",
        task_id,
        children,
    )
    return found


async def settled(
    tx: Transaction, ids: Sequence[TaskId], *, names: Sequence[str] | None = None
) -> dict[TaskId, list[Step]]:
    """The steps of tasks that have an outcome, oldest first; with `names` only those."""
    rows = await tx.fetch(
        f"""
        SELECT task_id, {_COLUMNS} FROM task_steps
        WHERE task_id = ANY($1::uuid[]) AND settled_at IS NOT NULL
            AND ($2::text[] IS NULL OR name = ANY($2))
        ORDER BY task_id, settled_at, name
        """,
        list(ids),
        None if names is None else [without_nul(name) for name in names],
    )
    found: dict[TaskId, list[Step]] = {}
    for row in rows:
        found.setdefault(TaskId(row["task_id"]), []).append(_to_step(row))
    return found


async def page(
    tx: Transaction, task_id: uuid.UUID, *, after: tuple[datetime, str] | None, limit: int
) -> list[Step]:
    """One page of all steps, in the order in which they began, and one more if there is."""
    rows = await tx.fetch(
        f"""
        SELECT {_COLUMNS} FROM task_steps
        WHERE task_id = $1 AND ($2::timestamptz IS NULL OR (created_at, name) > ($2, $3::text))
        ORDER BY created_at, name LIMIT $4
        """,
        task_id,
        after[0] if after else None,
        after[1] if after else None,
        limit + 1,
    )
    return [_to_step(row) for row in rows]


_SETTLE_CHILDREN = """
UPDATE task_steps SET settled_at = now(), output = child.result, error = CASE child.state
    WHEN 'failed' THEN child.error
    WHEN 'cancelled' THEN jsonb_build_object('code', 'cancelled', 'message',
        coalesce(nullif(child.cancel_reason, ''), 'It was cancelled.'))
    END
FROM tasks AS child
WHERE child.id = task_steps.child_id AND child.finished_at IS NOT NULL
    AND task_steps.settled_at IS NULL AND """


async def settle_children(tx: Transaction, children: Sequence[TaskId]) -> None:
    """Tells parents of the ends of these children, as far as they are over."""
    await tx.execute(_SETTLE_CHILDREN + "task_steps.child_id = ANY($1::uuid[])", list(children))


async def settle_children_of(tx: Transaction, parent: TaskId) -> None:
    """Tells one parent, whose row is locked, of the ends of all its children until now."""
    await tx.execute(_SETTLE_CHILDREN + "task_steps.task_id = $1", parent)


async def settle_timers(tx: Transaction, ids: Sequence[TaskId]) -> None:
    await tx.execute(
        """
        UPDATE task_steps SET settled_at = now(), output = 'null'
        WHERE task_id = ANY($1::uuid[]) AND kind = 'timer' AND settled_at IS NULL
            AND due_at <= now()
        """,
        list(ids),
    )


async def settle_question(
    tx: Transaction, approval_id: uuid.UUID, task_id: TaskId, *,
    output_json: bytes | None = None, error_json: bytes | None = None,
) -> None:  # fmt: skip
    await tx.execute(
        """
        UPDATE task_steps SET settled_at = now(), output = $3, error = $4
        WHERE task_id = $1 AND approval_id = $2 AND settled_at IS NULL
        """,
        task_id,
        approval_id,
        encoded(output_json),
        encoded(error_json),
    )


def _to_step(row: Row) -> Step:
    error: dict[str, Any] | None = row["error"]
    return Step(
        name=row["name"],
        kind=StepKind(row["kind"]),
        output=row["output"],
        error=TaskProblem(error["code"], error["message"]) if error else None,
        child_id=row["child_id"],
        approval_id=row["approval_id"],
        due_at=row["due_at"],
        epoch=row["epoch"],
        created_at=row["created_at"],
        settled_at=row["settled_at"],
        fingerprint=row["fingerprint"],
    )

"""SQL that shows tasks to people."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.features.tasks.repository.rows import BRIEF, FULL, to_attempt, to_task
from orchestra.features.tasks.types import Attempt, Task, TaskSnapshot, TaskState
from orchestra.foundation.database import Row, Transaction

# Only our own column lists are put into these.
_GET = f"SELECT {FULL} FROM tasks WHERE id = $1"
_GET_ALL = f"SELECT {FULL} FROM tasks WHERE id = ANY($1::uuid[]) ORDER BY id"
_FIND = f"""
SELECT {BRIEF} FROM tasks
WHERE ($1::uuid IS NULL OR user_id = $1)
    AND ($2::text[] IS NULL OR state = ANY($2))
    AND ($3::text IS NULL OR capability = $3)
    AND ($4::uuid IS NULL OR agent_id = $4)
    AND ($5::uuid IS NULL OR id < $5)
ORDER BY id DESC LIMIT $6
"""
_SNAPSHOTS = f"""
SELECT {FULL}, snapshot_text, snapshot_epoch, snapshot_sequence FROM tasks
WHERE id = ANY($1::uuid[])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks to list; None does not ask. `before` continues a list, newest first."""

    user_id: uuid.UUID | None = None
    states: Sequence[TaskState] | None = None
    capability: str | None = None
    agent_id: uuid.UUID | None = None
    before: uuid.UUID | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """How many tasks wait and run now, and were finished in the last minute."""

    queued: int
    running: int
    finished_in_a_minute: int


async def get(tx: Transaction, task_id: uuid.UUID) -> Task | None:
    row = await tx.fetch_one(_GET, task_id)
    return to_task(row) if row else None


async def get_all(tx: Transaction, ids: Sequence[uuid.UUID]) -> list[Task]:
    """Those of the tasks that are there."""
    return [to_task(row) for row in await tx.fetch(_GET_ALL, list(ids))] if ids else []


async def find(tx: Transaction, wanted: TaskFilter) -> list[Task]:
    """One page and a row more if there is one, newest first, without inputs and results."""
    rows = await tx.fetch(
        _FIND,
        wanted.user_id,
        None if wanted.states is None else list(wanted.states),
        wanted.capability,
        wanted.agent_id,
        wanted.before,
        wanted.limit + 1,
    )
    return [to_task(row) for row in rows]


async def attempts(tx: Transaction, task_id: uuid.UUID) -> list[Attempt]:
    rows = await tx.fetch(
        """
        SELECT attempt, epoch, agent_id, agent_name, started_at, ended_at, outcome, error
        FROM task_attempts WHERE task_id = $1 ORDER BY epoch LIMIT 1000
        """,
        task_id,
    )
    return [to_attempt(row) for row in rows]


async def snapshots(tx: Transaction, ids: Sequence[uuid.UUID]) -> list[TaskSnapshot]:
    """Tasks with the text that their present run has said, up to the cursor."""
    rows = await tx.fetch(_SNAPSHOTS, list(ids))
    return [_to_snapshot(row) for row in rows]


async def is_current_run(tx: Transaction, task_id: uuid.UUID, epoch: int) -> bool:
    """Whether this lease is the task's present one."""
    found = await tx.fetch_value(
        """
        SELECT 1 FROM tasks
        WHERE id = $1 AND epoch = $2 AND state IN ('running', 'cancelling')
        """,
        task_id,
        epoch,
    )
    return found is not None


async def counts(tx: Transaction) -> TaskCounts:
    row = await tx.fetch_one(
        """
        SELECT
            (SELECT count(*) FROM tasks WHERE state = 'queued') AS queued,
            (SELECT count(*) FROM tasks WHERE state IN ('running', 'cancelling')) AS running,
            (SELECT count(*) FROM tasks WHERE finished_at > now() - interval '1 minute') AS finished
        """
    )
    return (
        TaskCounts(row["queued"], row["running"], row["finished"]) if row else TaskCounts(0, 0, 0)
    )


def _to_snapshot(row: Row) -> TaskSnapshot:
    task = to_task(row)
    is_present = row["snapshot_epoch"] == task.epoch
    sequence = row["snapshot_sequence"] if is_present else 0
    # At the end, what the last run has said stays: a person who stopped it wants to read it.
    text = row["snapshot_text"] if is_present or task.life.is_over else ""
    return TaskSnapshot(task=task, text=text, cursor=f"{task.epoch}:{sequence}")

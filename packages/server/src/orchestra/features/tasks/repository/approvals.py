"""SQL of approvals: questions of tasks to people, and what they have answered."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.features.tasks.repository.rows import encoded
from orchestra.features.tasks.types import Approval, ApprovalKind, ApprovalState, TaskId
from orchestra.foundation.database import Row, Transaction, without_nul

# An open one whose time is over is not open, even before somebody has written so.
_COLUMNS = """
    id, task_id, user_id, name, kind, question, data, data_hash, choices, answer, comment,
    answered_by, answered_at, created_at, expires_at,
    CASE WHEN state = 'open' AND expires_at <= now() THEN 'expired' ELSE state END AS state"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApproval:
    """A question to write down. `seconds` from now it expires."""

    id: uuid.UUID
    task_id: TaskId
    user_id: uuid.UUID
    name: str
    kind: ApprovalKind
    question: str
    data_json: bytes
    data_hash: str
    choices: Sequence[str]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFilter:
    """Which approvals to list, newest first; None does not ask."""

    user_id: uuid.UUID | None = None
    task_id: uuid.UUID | None = None
    states: Sequence[ApprovalState] | None = None
    before: uuid.UUID | None = None
    limit: int = 50


async def insert(tx: Transaction, new: NewApproval) -> None:
    await tx.execute(
        """
        INSERT INTO approvals (
            id, task_id, user_id, name, kind, question, data, data_hash, choices, state,
            created_at, expires_at
        ) VALUES (
            $1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', now(), now() + make_interval(secs => $10)
        )
        """,
        new.id,
        new.task_id,
        new.user_id,
        without_nul(new.name),
        new.kind,
        without_nul(new.question),
        encoded(new.data_json),
        new.data_hash,
        [without_nul(choice) for choice in new.choices],
        new.seconds,
    )


async def get(tx: Transaction, approval_id: uuid.UUID) -> Approval | None:
    row = await tx.fetch_one(f"SELECT {_COLUMNS} FROM approvals WHERE id = $1", approval_id)
    return _to_approval(row) if row else None


async def find(tx: Transaction, wanted: ApprovalFilter) -> list[Approval]:
    """One page and one more if there is one, newest first."""
    rows = await tx.fetch(
        f"""
        SELECT * FROM (SELECT {_COLUMNS} FROM approvals) AS approvals
        WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::uuid IS NULL OR task_id = $2)
            AND ($3::text[] IS NULL OR state = ANY($3)) AND ($4::uuid IS NULL OR id < $4)
        ORDER BY id DESC LIMIT $5
        """,
        wanted.user_id,
        wanted.task_id,
        None if wanted.states is None else list(wanted.states),
        wanted.before,
        wanted.limit + 1,
    )
    return [_to_approval(row) for row in rows]


async def close(
    tx: Transaction,
    approval_id: uuid.UUID,
    state: ApprovalState,
    *,
    answer_json: bytes | None,
    comment: str,
    by: str,
) -> Approval | None:
    """Writes the answer, once: None if it is not open any more."""
    row = await tx.fetch_one(
        f"""
        UPDATE approvals SET state = $2, answer = $3, comment = $4, answered_by = $5,
            answered_at = now()
        WHERE id = $1 AND state = 'open' AND expires_at > now() RETURNING {_COLUMNS}
        """,
        approval_id,
        state,
        encoded(answer_json),
        without_nul(comment),
        without_nul(by),
    )
    return _to_approval(row) if row else None


async def overdue(tx: Transaction, *, limit: int) -> list[TaskId]:
    """Tasks with an open question whose time is over; nothing is locked."""
    rows = await tx.fetch(
        """
        SELECT task_id FROM approvals WHERE state = 'open' AND expires_at <= now()
        ORDER BY expires_at LIMIT $1
        """,
        limit,
    )
    return [TaskId(row["task_id"]) for row in rows]


async def expire(tx: Transaction, tasks: Sequence[TaskId]) -> list[Approval]:
    """Closes what is overdue of tasks whose rows are locked."""
    rows = await tx.fetch(
        f"""
        UPDATE approvals SET state = 'expired'
        WHERE task_id = ANY($1::uuid[]) AND state = 'open' AND expires_at <= now()
        RETURNING {_COLUMNS}
        """,
        list(tasks),
    )
    return [_to_approval(row) for row in rows]


async def withdraw(tx: Transaction, tasks: Sequence[TaskId]) -> list[Approval]:
    """Closes what is open of tasks that are over: nobody waits for the answer."""
    rows = await tx.fetch(
        f"""
        UPDATE approvals SET state = 'withdrawn'
        WHERE task_id = ANY($1::uuid[]) AND state = 'open' RETURNING {_COLUMNS}
        """,
        list(tasks),
    )
    return [_to_approval(row) for row in rows]


def _to_approval(row: Row) -> Approval:
    values = dict(row)
    values["task_id"] = TaskId(values["task_id"])
    values["kind"] = ApprovalKind(values["kind"])
    values["state"] = ApprovalState(values["state"])
    return Approval(**values)

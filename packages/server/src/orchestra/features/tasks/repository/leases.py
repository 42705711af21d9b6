"""SQL that keeps, shortens and finds leases, all by the database's clock."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.features.tasks.types import TaskId
from orchestra.foundation.database import Transaction, without_nul


@dataclass(frozen=True, slots=True)
class Lease:
    """A run that an agent should have; `idle_seconds` since its last event."""

    task_id: TaskId
    epoch: int
    idle_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Overdue:
    """A run or a waiting task whose time is up, and why."""

    task_id: TaskId
    epoch: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A run as a control plane finds it when its agent comes back."""

    task_id: TaskId
    epoch: int
    attempt: int
    user_id: uuid.UUID
    agent_name: str
    is_cancelling: bool
    cancel_reason: str
    run_seconds_left: float
    progress_timeout_seconds: float
    snapshot_text: str
    snapshot_epoch: int
    snapshot_sequence: int


@dataclass(frozen=True, slots=True)
class TextSoFar:
    """What a run has said up to an event."""

    task_id: TaskId
    epoch: int
    sequence: int
    text: str


# Everybody who locks several tasks does so in the order of their ids, so that no two wait for each
# other.
_LOCKED = """
WITH locked AS MATERIALIZED (
    SELECT id FROM tasks WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
)"""


async def renew(tx: Transaction, leases: Sequence[Lease], *, seconds: float) -> set[TaskId]:
    """Renews leases; returns the tasks whose lease is still that one. The others are lost."""
    rows = await tx.fetch(
        f"""{_LOCKED}
        UPDATE tasks SET
            lease_expires_at = now() + make_interval(secs => $4),
            last_progress_at = greatest(last_progress_at, now() - make_interval(secs => given.idle))
        FROM locked JOIN unnest($1::uuid[], $2::bigint[], $3::float8[]) AS given (id, epoch, idle)
            USING (id)
        WHERE tasks.id = given.id AND tasks.epoch = given.epoch
            AND tasks.state IN ('running', 'cancelling')
        RETURNING tasks.id
        """,
        [lease.task_id for lease in leases],
        [lease.epoch for lease in leases],
        [lease.idle_seconds for lease in leases],
        seconds,
    )
    return {TaskId(row["id"]) for row in rows}


async def shorten(tx: Transaction, leases: Sequence[Lease], *, seconds: float) -> None:
    """Lets leases end `seconds` from now, unless they end sooner."""
    await tx.execute(
        f"""{_LOCKED}
        UPDATE tasks SET lease_expires_at =
            least(lease_expires_at, now() + make_interval(secs => $3))
        FROM locked JOIN unnest($1::uuid[], $2::bigint[]) AS given (id, epoch) USING (id)
        WHERE tasks.id = given.id AND tasks.epoch = given.epoch
            AND tasks.state IN ('running', 'cancelling')
        """,
        [lease.task_id for lease in leases],
        [lease.epoch for lease in leases],
        seconds,
    )


async def held_by(tx: Transaction, agent_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Held]]:
    """Every run whose lease one of these agents has."""
    rows = await tx.fetch(
        """
        SELECT agent_id, id AS task_id, epoch, attempt, user_id,
            state = 'cancelling' AS is_cancelling,
            coalesce(cancel_reason, '') AS cancel_reason,
            coalesce(extract(epoch FROM run_deadline - now()), 1e9)::float8 AS run_seconds_left,
            coalesce(progress_timeout_seconds, 1e9) AS progress_timeout_seconds,
            snapshot_text, snapshot_epoch, snapshot_sequence,
            coalesce((
                SELECT agent_name FROM task_attempts
                WHERE task_id = tasks.id AND task_attempts.epoch = tasks.epoch
            ), '') AS agent_name
        FROM tasks WHERE agent_id = ANY($1::uuid[]) AND state IN ('running', 'cancelling')
        """,
        list(agent_ids),
    )
    held: dict[uuid.UUID, list[Held]] = {}
    for row in rows:
        found = dict(row)
        held.setdefault(found.pop("agent_id"), []).append(Held(**found))
    return held


async def cancelling(tx: Transaction, leases: Sequence[Lease]) -> list[tuple[TaskId, str]]:
    """Those of the runs that somebody has asked to stop, with the reason."""
    rows = await tx.fetch(
        """
        SELECT id, coalesce(cancel_reason, '') AS reason FROM tasks
        WHERE state = 'cancelling' AND (id, epoch) IN (
            SELECT * FROM unnest($1::uuid[], $2::bigint[])
        )
        """,
        [lease.task_id for lease in leases],
        [lease.epoch for lease in leases],
    )
    return [(TaskId(row["id"]), row["reason"]) for row in rows]


async def save_texts(tx: Transaction, texts: Sequence[TextSoFar]) -> None:
    """Keeps what runs have said so far, for readers who come when JetStream has lost it."""
    await tx.execute(
        f"""{_LOCKED}
        UPDATE tasks SET snapshot_text = given.text, snapshot_epoch = given.epoch,
            snapshot_sequence = given.sequence
        FROM locked JOIN unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[])
            AS given (id, epoch, sequence, text) USING (id)
        WHERE tasks.id = given.id AND tasks.epoch = given.epoch
        """,
        [text.task_id for text in texts],
        [text.epoch for text in texts],
        [text.sequence for text in texts],
        [without_nul(text.text) for text in texts],
    )


# Of tasks that an agent holds; $1 and $2 are the margin and the time to stop, in seconds.
RUN_IS_OVERDUE = """
    state IN ('running', 'cancelling') AND lease_expires_at IS NOT NULL AND (
        lease_expires_at < now() OR run_deadline < now()
        OR last_progress_at + make_interval(secs => progress_timeout_seconds + $1) < now()
        OR (state = 'cancelling' AND cancel_requested_at + make_interval(secs => $2) < now())
    )"""


async def overdue_runs(
    tx: Transaction, *, margin_seconds: float, cancel_grace_seconds: float, limit: int
) -> list[Overdue]:
    """Runs whose lease, run time, progress time or time to stop is over, locked.

    A task without a lease that is being cancelled waits for what is below it, and is none.

    Progress is known here only as often as leases are renewed, so it has a margin; the control
    plane that has the stream is exact.
    """
    rows = await tx.fetch(
        f"""
        SELECT id, epoch, CASE
            WHEN lease_expires_at < now() THEN 'agent_lost'
            WHEN run_deadline < now() THEN 'run_timeout'
            WHEN state = 'cancelling' THEN 'cancel_unanswered'
            ELSE 'progress_timeout' END AS cause
        FROM tasks WHERE {RUN_IS_OVERDUE}
        ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
        """,
        margin_seconds,
        cancel_grace_seconds,
        limit,
    )
    return [Overdue(TaskId(row["id"]), row["epoch"], row["cause"]) for row in rows]


async def overdue_waiting(tx: Transaction, *, limit: int) -> list[Overdue]:
    """Tasks that have waited longer than they may, locked."""
    rows = await tx.fetch(
        """
        SELECT id, epoch FROM tasks WHERE state = 'queued' AND queue_deadline < now()
        ORDER BY queue_deadline LIMIT $1 FOR UPDATE SKIP LOCKED
        """,
        limit,
    )
    return [Overdue(TaskId(row["id"]), row["epoch"], "queue_timeout") for row in rows]

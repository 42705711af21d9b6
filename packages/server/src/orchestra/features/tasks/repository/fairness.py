"""SQL of fair shares beyond the submit: what comes back into line, and what was never served."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.features.tasks.types import Priority, QueueName, TaskId
from orchestra.foundation.database import Row, Transaction

# Tasks in `back` (id, queue, priority, user_id, is_return, turn) get their places. The same rule as
# at the submit; a line of its own for what was begun already.
_PLACE = """wanted AS MATERIALIZED (
    SELECT queue, priority, user_id, is_return, coalesce(virtual_time, 0) AS start_tag,
        coalesce(weight, 1) AS weight, count(*) AS count
    FROM back LEFT JOIN fair_clocks USING (queue, priority) LEFT JOIN user_weights USING (user_id)
    GROUP BY queue, priority, user_id, is_return, virtual_time, weight
), charged AS (
    INSERT INTO fair_shares AS share (queue, priority, user_id, is_return, start_tag, finish_tag)
    SELECT queue, priority, user_id, is_return, start_tag, start_tag + count / weight FROM wanted
    ORDER BY queue, priority, user_id, is_return
    ON CONFLICT (queue, priority, user_id, is_return) DO UPDATE SET
        start_tag = greatest(share.finish_tag, excluded.start_tag),
        finish_tag = greatest(share.finish_tag, excluded.start_tag)
            + excluded.finish_tag - excluded.start_tag
    RETURNING queue, priority, user_id, is_return, start_tag
), placed AS MATERIALIZED (
    SELECT back.id, charged.start_tag + (turn - 1) / weight AS tag
    FROM back JOIN wanted USING (queue, priority, user_id, is_return)
        JOIN charged USING (queue, priority, user_id, is_return)
)
UPDATE tasks SET fair_tag = placed.tag, run_after = NULL, blocked_on = NULL
FROM placed WHERE tasks.id = placed.id
RETURNING tasks.id, queue, priority, epoch, capability"""
_IDLE = """moved_at < now() - make_interval(secs => $1 * 86400) AND NOT EXISTS (
    SELECT FROM tasks WHERE tasks.queue = clock.queue AND tasks.priority = clock.priority
        AND state = 'queued' AND run_after IS NULL
)"""
_BACK = """
SELECT id, queue, priority, user_id, epoch > 1 AS is_return,
    row_number() OVER (PARTITION BY queue, priority, user_id, epoch > 1 ORDER BY id) AS turn"""

# Shares that end beyond their next turn though their last task does not wait any more, locked.
_UNUSED = """
SELECT queue, priority, user_id, is_return
FROM fair_shares AS share LEFT JOIN fair_clocks USING (queue, priority)
    LEFT JOIN user_weights USING (user_id)
WHERE finish_tag > coalesce(virtual_time, 0) + 1.000001 / coalesce(weight, 1)
    AND NOT EXISTS (
        SELECT FROM tasks WHERE tasks.queue = share.queue AND tasks.priority = share.priority
            AND tasks.user_id = share.user_id AND tasks.state = 'queued'
            AND tasks.run_after IS NULL AND tasks.blocked_on IS NULL
            AND fair_tag >= finish_tag - 1.000001 / coalesce(weight, 1) AND fair_tag < finish_tag
    )
ORDER BY queue, priority, user_id, is_return LIMIT $1 FOR UPDATE OF share SKIP LOCKED
"""
_GIVE_BACK = """
UPDATE fair_shares AS share SET finish_tag = greatest(
    coalesce((
        SELECT virtual_time FROM fair_clocks AS clock
        WHERE clock.queue = share.queue AND clock.priority = share.priority
    ), 0),
    (SELECT max(fair_tag) + 1 / coalesce(min(weight), 1)
     FROM tasks LEFT JOIN user_weights USING (user_id)
     WHERE tasks.queue = share.queue AND tasks.priority = share.priority
        AND tasks.user_id = share.user_id AND tasks.state = 'queued'
        AND (tasks.epoch > 1) = share.is_return AND tasks.run_after IS NULL)
)
FROM unnest($1::text[], $2::smallint[], $3::uuid[], $4::boolean[])
    AS given (queue, priority, user_id, is_return)
WHERE share.queue = given.queue AND share.priority = given.priority
    AND share.user_id = given.user_id AND share.is_return = given.is_return
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class InLine:
    """A task that has just got its place among those that wait."""

    id: TaskId
    queue: QueueName
    capability: str
    priority: Priority
    epoch: int


async def place(tx: Transaction, ids: Sequence[TaskId]) -> None:
    """Gives places to tasks that wait again, whose rows are locked; the rest is left alone.

    Every way back into line goes through here: else ten thousand tasks that come back would be
    served before anybody else's.
    """
    await tx.fetch(
        f"""
        WITH back AS MATERIALIZED (
            {_BACK} FROM tasks WHERE id = ANY($1::uuid[]) AND state = 'queued' AND run_after IS NULL
        ), {_PLACE}
        """,
        list(ids),
    )


async def place_due(tx: Transaction, *, limit: int) -> list[InLine]:
    """Gives places to tasks whose time has come, those that waited longest first."""
    rows = await tx.fetch(
        f"""
        WITH due AS MATERIALIZED (
            SELECT id, queue, priority, user_id, epoch FROM tasks
            WHERE state = 'queued' AND run_after <= now()
            ORDER BY run_after LIMIT $1 FOR UPDATE SKIP LOCKED
        ), back AS MATERIALIZED ({_BACK} FROM due), {_PLACE}
        """,
        limit,
    )
    return [_to_in_line(row) for row in rows]


async def forget_served(tx: Transaction, *, limit: int) -> int:
    """Drops shares that say no more than the clock does."""
    return await tx.execute(
        """
        DELETE FROM fair_shares WHERE (queue, priority, user_id, is_return) IN (
            SELECT queue, priority, user_id, is_return
            FROM fair_shares JOIN fair_clocks USING (queue, priority)
            WHERE finish_tag <= virtual_time
            ORDER BY queue, priority, user_id, is_return LIMIT $1
            FOR UPDATE OF fair_shares SKIP LOCKED
        )
        """,
        limit,
    )


async def forget_idle(tx: Transaction, *, days: float, limit: int) -> int:
    """Drops what is known of queues in which nothing has waited for so long: they begin anew."""
    shares = await tx.execute(
        f"""
        DELETE FROM fair_shares WHERE (queue, priority, user_id, is_return) IN (
            SELECT queue, priority, user_id, is_return
            FROM fair_shares JOIN fair_clocks AS clock USING (queue, priority)
            WHERE {_IDLE} ORDER BY queue, priority, user_id, is_return LIMIT $2
            FOR UPDATE OF fair_shares SKIP LOCKED
        )
        """,
        days,
        limit,
    )
    clocks = await tx.execute(
        f"""
        DELETE FROM fair_clocks WHERE (queue, priority) IN (
            SELECT queue, priority FROM fair_clocks AS clock
            WHERE {_IDLE} AND NOT EXISTS (
                SELECT FROM fair_shares AS share
                WHERE share.queue = clock.queue AND share.priority = clock.priority
            )
            ORDER BY queue, priority LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        """,
        days,
        limit,
    )
    return max(shares, clocks)


async def give_back_unused(tx: Transaction, *, limit: int) -> int:
    """Takes back what users were promised for tasks that were cancelled before they were served.

    A share that is behind nobody ends with the last of its tasks that wait. Those of users who
    submit just now are left for the next time. Returns how many were changed.
    """
    rows = await tx.fetch(_UNUSED, limit)
    if not rows:
        return 0
    # A statement of its own: it sees what was committed before the locks were got.
    return await tx.execute(
        _GIVE_BACK,
        [row["queue"] for row in rows],
        [row["priority"] for row in rows],
        [row["user_id"] for row in rows],
        [row["is_return"] for row in rows],
    )


def _to_in_line(row: Row) -> InLine:
    return InLine(
        id=TaskId(row["id"]),
        queue=QueueName(row["queue"]),
        capability=row["capability"],
        priority=Priority(row["priority"]),
        epoch=row["epoch"],
    )

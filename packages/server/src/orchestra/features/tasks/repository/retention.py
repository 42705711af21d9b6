"""SQL that forgets: tasks that ended long ago, and keys that have stood long enough.

In small batches that skip what others have locked, so that nobody waits for it.
"""

from dataclasses import dataclass

from orchestra.features.tasks.types import QueueName
from orchestra.foundation.database import Transaction


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a queue keeps of its finished tasks: by age, and by number unless that is None."""

    queue: QueueName
    days: float
    count: int | None


async def overfull(tx: Transaction, *, days: float, count: int | None) -> list[Keeping]:
    """Queues that may have something to forget; `days` and `count` where a queue says nothing.

    Jumps along the index from the oldest end of one queue to that of the next.
    """
    rows = await tx.fetch(
        """
        WITH RECURSIVE oldest AS (
            (SELECT queue, finished_at FROM tasks WHERE finished_at IS NOT NULL
             ORDER BY queue, finished_at LIMIT 1)
            UNION ALL
            SELECT next.queue, next.finished_at FROM oldest CROSS JOIN LATERAL (
                SELECT queue, finished_at FROM tasks
                WHERE finished_at IS NOT NULL AND queue > oldest.queue
                ORDER BY queue, finished_at LIMIT 1
            ) AS next
        ), kept AS (
            SELECT queue, finished_at, coalesce(keep_days, $1) AS days,
                coalesce(keep_count, $2) AS count
            FROM oldest LEFT JOIN queues ON queues.name = oldest.queue
        )
        SELECT queue, days, count FROM kept
        WHERE count IS NOT NULL OR finished_at < now() - make_interval(secs => days * 86400)
        LIMIT 100000
        """,
        days,
        count,
    )
    return [Keeping(QueueName(row["queue"]), row["days"], row["count"]) for row in rows]


async def forget(tx: Transaction, keeping: Keeping, *, limit: int) -> int:
    """Deletes a batch of what the queue need not keep; how many.

    A task of a tree stays until the root is over, one whose end is not told until it is, one with
    an idempotency key as long as that is good for, and a dead letter until all that do it again are
    over: their key comes from it. The root is looked up for each, because a join reads all tasks:
    2 s instead of 0.1 s for a batch.
    """
    return await tx.execute(
        """
        WITH nth AS (
            SELECT finished_at FROM tasks
            WHERE $3::bigint IS NOT NULL AND queue = $1 AND finished_at IS NOT NULL
            ORDER BY finished_at DESC OFFSET $3::bigint LIMIT 1
        ), gone AS MATERIALIZED (
            SELECT id FROM tasks
            WHERE queue = $1 AND NOT finish_pending AND idempotency_key IS NULL
                AND finished_at <= greatest(
                now() - make_interval(secs => $2::float8 * 86400), (SELECT finished_at FROM nth)
            ) AND (root_id IS NULL OR coalesce((
                SELECT root.finished_at IS NOT NULL FROM tasks AS root
                WHERE root.id = tasks.root_id
            ), true)) AND (replayed_as IS NULL OR NOT EXISTS (
                WITH RECURSIVE later AS (
                    SELECT tasks.replayed_as AS id, 0 AS distance
                    UNION ALL
                    SELECT task.replayed_as, distance + 1 FROM later JOIN tasks AS task USING (id)
                    WHERE distance < 1000
                )
                SELECT FROM later JOIN tasks AS task USING (id) WHERE task.finished_at IS NULL
            ))
            ORDER BY finished_at LIMIT $4 FOR UPDATE SKIP LOCKED
        )
        DELETE FROM tasks USING gone WHERE tasks.id = gone.id
        """,
        keeping.queue,
        keeping.days,
        keeping.count,
        limit,
    )


async def release_keys(tx: Transaction, *, hours: float, limit: int) -> int:
    """Frees a batch of idempotency keys that were given long ago; how many."""
    return await tx.execute(
        """
        WITH oldest AS MATERIALIZED (
            SELECT id, created_at FROM tasks WHERE idempotency_key IS NOT NULL
            ORDER BY id LIMIT $2
        ), free AS MATERIALIZED (
            SELECT tasks.id FROM tasks JOIN oldest USING (id)
            WHERE oldest.created_at < now() - make_interval(secs => $1::float8 * 3600)
            ORDER BY tasks.id FOR NO KEY UPDATE OF tasks SKIP LOCKED
        )
        UPDATE tasks SET idempotency_key = NULL FROM free WHERE tasks.id = free.id
        """,
        hours,
        limit,
    )

"""SQL of limits: the rules, the buckets that a task uses, and what is in them.

A bucket is `<limit id>:<whose>`. Holds count while their task is held under their epoch, so the end
of a run needs no word here; tokens are as of their last use, by the database's clock.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from orchestra.features.tasks.types import QueueName
from orchestra.foundation.database import Row, Transaction

MAX_LIMITS = 1_000


class LimitScope(StrEnum):
    QUEUE = "queue"  # of everybody's tasks in one queue
    USER = "user"  # of one user, or of each user by itself
    KEY = "key"  # of tasks whose inputs have the same value in one place


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """So many at a time (`max_running`), so many in a time (`rate` per `per_seconds`), or both."""

    id: uuid.UUID
    scope: LimitScope
    queue: QueueName | None  # None: all queues
    user_id: uuid.UUID | None
    key_pointer: str | None
    key_path: Sequence[str] | None
    max_running: int | None
    rate: float | None
    per_seconds: float | None
    burst: float | None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """What a bucket has left; None: without bound."""

    slots: int | None
    tokens: float | None
    token_seconds: float = 0.0  # until there is one more

    @property
    def is_open(self) -> bool:
        return (self.slots is None or self.slots > 0) and (self.tokens is None or self.tokens >= 1)

    @property
    def seconds(self) -> float:
        """Until there is a token for the next task; 0 where there is one, or none is needed."""
        if self.tokens is None or self.tokens >= 1:
            return 0.0
        return (1 - self.tokens) * self.token_seconds


# The names of the buckets that a row of `tasks` uses. Computed when they are needed, so that a
# new limit holds for what waits already.
BUCKETS = """
    ARRAY(
        SELECT limits.id || ':' || CASE scope
            WHEN 'queue' THEN ''
            WHEN 'user' THEN tasks.user_id::text
            ELSE left(encode(sha256(
                convert_to((tasks.input #> key_path)::text, 'UTF8')
            ), 'hex'), 32)
        END
        FROM limits
        WHERE (limits.queue IS NULL OR limits.queue = tasks.queue)
            AND (limits.user_id IS NULL OR limits.user_id = tasks.user_id)
            AND (scope <> 'key' OR tasks.input #> key_path IS NOT NULL)
        ORDER BY limits.id
    )"""
_COLUMNS = """
    id, scope, queue, user_id, key_pointer, key_path, max_running, rate, per_seconds, burst,
    created_at"""
_HELD = """
    SELECT FROM tasks WHERE tasks.id = hold.task_id AND tasks.epoch = hold.epoch
        AND tasks.state IN ('running', 'cancelling')"""

_HOLD = """
INSERT INTO limit_holds (bucket, task_id, epoch, limit_id)
SELECT bucket, task_id, epoch, limits.id
FROM unnest($1::text[], $2::uuid[], $3::bigint[]) AS given (bucket, task_id, epoch)
    JOIN limits ON limits.id = split_part(bucket, ':', 1)::uuid
WHERE max_running IS NOT NULL
ON CONFLICT (bucket, task_id) DO UPDATE SET epoch = excluded.epoch
"""
_SPEND = """
INSERT INTO limit_tokens AS kept (bucket, limit_id, tokens, refilled_at)
SELECT bucket, limits.id, least(burst, coalesce(
    tokens + rate / per_seconds
        * greatest(0, extract(epoch FROM clock_timestamp() - refilled_at)),
    burst
)) - taken, clock_timestamp()
FROM unnest($1::text[], $2::integer[]) AS given (bucket, taken)
    JOIN limits ON limits.id = split_part(bucket, ':', 1)::uuid
    LEFT JOIN limit_tokens USING (bucket)
WHERE rate IS NOT NULL
ON CONFLICT (bucket) DO UPDATE SET tokens = excluded.tokens, refilled_at = excluded.refilled_at
"""


async def add(tx: Transaction, limit: Limit) -> Limit:
    row = await tx.fetch_one(
        f"""
        INSERT INTO limits (id, scope, queue, user_id, key_pointer, key_path, max_running, rate,
            per_seconds, burst, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now()) RETURNING {_COLUMNS}
        """,
        limit.id,
        limit.scope,
        limit.queue,
        limit.user_id,
        limit.key_pointer,
        None if limit.key_path is None else list(limit.key_path),
        limit.max_running,
        limit.rate,
        limit.per_seconds,
        limit.burst,
    )
    if row is None:
        raise LookupError("an insert returns its row")
    return _to_limit(row)


async def remove(tx: Transaction, limit_id: uuid.UUID) -> Limit | None:
    row = await tx.fetch_one(f"DELETE FROM limits WHERE id = $1 RETURNING {_COLUMNS}", limit_id)
    return _to_limit(row) if row else None


async def count(tx: Transaction) -> int:
    number: int = await tx.fetch_value("SELECT count(*) FROM limits")
    return number


async def find(
    tx: Transaction, *, queue: str | None, after: uuid.UUID | None, limit: int
) -> list[Limit]:
    """One page by id, and a row more if there is one."""
    rows = await tx.fetch(
        f"""
        SELECT {_COLUMNS} FROM limits
        WHERE ($1::text IS NULL OR queue = $1) AND ($2::uuid IS NULL OR id > $2)
        ORDER BY id LIMIT $3
        """,
        queue,
        after,
        limit + 1,
    )
    return [_to_limit(row) for row in rows]


async def lock(tx: Transaction, queues: Sequence[QueueName]) -> dict[str, Limit]:
    """The limits of the queues by id. Whoever has them is alone in claiming under them."""
    rows = await tx.fetch(
        f"""
        SELECT {_COLUMNS} FROM limits WHERE queue IS NULL OR queue = ANY($1::text[])
        ORDER BY id FOR NO KEY UPDATE
        """,
        list(queues),
    )
    return {str(row["id"]): _to_limit(row) for row in rows}


async def drop_ended(tx: Transaction, limit_ids: Sequence[str]) -> None:
    """Forgets the holds of runs that are over."""
    await tx.execute(
        f"""
        DELETE FROM limit_holds AS hold
        WHERE limit_id = ANY($1::uuid[]) AND NOT EXISTS ({_HELD})
        """,
        [uuid.UUID(limit_id) for limit_id in limit_ids],
    )


async def rooms(tx: Transaction, buckets: Sequence[str]) -> dict[str, Room]:
    """What is left in buckets; one whose limit is gone has no bound."""
    rows = await tx.fetch(
        f"""
        SELECT bucket, max_running - (
            SELECT count(*) FROM limit_holds AS hold
            WHERE hold.bucket = given.bucket AND EXISTS ({_HELD})
        ) AS slots, least(burst, coalesce(
            tokens + rate / per_seconds
                * greatest(0, extract(epoch FROM clock_timestamp() - refilled_at)),
            burst
        )) AS tokens, per_seconds / rate AS token_seconds
        FROM unnest($1::text[]) AS given (bucket)
            LEFT JOIN limits ON limits.id = split_part(bucket, ':', 1)::uuid
            LEFT JOIN limit_tokens USING (bucket)
        """,
        list(buckets),
    )
    return {row["bucket"]: _to_room(row) for row in rows}


async def by_bucket(tx: Transaction, buckets: Sequence[str]) -> dict[str, Limit]:
    """The limit of each bucket."""
    rows = await tx.fetch(
        f"""
        SELECT bucket, {_COLUMNS} FROM unnest($1::text[]) AS given (bucket)
            JOIN limits ON limits.id = split_part(bucket, ':', 1)::uuid
        """,
        list(buckets),
    )
    return {row["bucket"]: _to_limit(row) for row in rows}


async def hold(
    tx: Transaction, held: Sequence[tuple[str, uuid.UUID, int]], spent: dict[str, int]
) -> None:
    """Notes (bucket, task, epoch) of new runs, and takes tokens out of buckets.

    Buckets without that kind of bound are skipped here.
    """
    buckets, tasks = [bucket for bucket, _, _ in held], [task_id for _, task_id, _ in held]
    await tx.execute(_HOLD, buckets, tasks, [epoch for _, _, epoch in held])
    await tx.execute(_SPEND, list(spent), list(spent.values()))


async def hold_running(tx: Transaction, limit_id: uuid.UUID) -> None:
    """Counts what runs already, for a limit that is new."""
    await tx.execute(
        f"""
        INSERT INTO limit_holds (bucket, task_id, epoch, limit_id)
        SELECT bucket, tasks.id, tasks.epoch, rule.id
        FROM tasks CROSS JOIN LATERAL unnest({BUCKETS}) AS bucket
            JOIN limits AS rule ON rule.id = split_part(bucket, ':', 1)::uuid
        WHERE tasks.state IN ('running', 'cancelling') AND rule.id = $1
            AND rule.max_running IS NOT NULL
        ON CONFLICT DO NOTHING
        """,
        limit_id,
    )


async def forget_full_tokens(tx: Transaction, *, limit: int) -> int:
    """Drops token counts that are full again: they say no more than their limit does."""
    return await tx.execute(
        """
        DELETE FROM limit_tokens WHERE bucket IN (
            SELECT bucket FROM limit_tokens JOIN limits ON limits.id = limit_id
            WHERE tokens + rate / per_seconds
                * extract(epoch FROM clock_timestamp() - refilled_at) >= burst
            ORDER BY bucket LIMIT $1 FOR UPDATE OF limit_tokens SKIP LOCKED
        )
        """,
        limit,
    )


def _to_limit(row: Row) -> Limit:
    values: dict[str, Any] = dict(row)
    values.pop("bucket", None)
    values["scope"] = LimitScope(values["scope"])
    return Limit(**values)


def _to_room(row: Row) -> Room:
    return Room(row["slots"], row["tokens"], row["token_seconds"] or 0.0)

"""SQL of claims under limits: candidates, what is set aside for want of room, and its return."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.features.tasks.repository import turns
from orchestra.features.tasks.repository.claiming import (
    COUNTS,
    PICK_OF_ONE,
    PICK_OF_SEVERAL,
    TAKE,
    Claim,
    Slot,
    to_claim,
)
from orchestra.features.tasks.repository.limits import BUCKETS
from orchestra.features.tasks.types import QueueName, TaskId
from orchestra.foundation.database import Database, Transaction


@dataclass(frozen=True, slots=True)
class Candidate:
    """A waiting task, locked, and the buckets that it would use."""

    id: TaskId
    buckets: list[str]


# Unlike the claim without limits, this one is for queues of any kind.
_CANDIDATES = f"""
SELECT tasks.id, {BUCKETS} AS buckets FROM picked JOIN tasks ON tasks.id = picked.id
WHERE place <= $2 ORDER BY place
"""
# By whether they are of several queues, and for one owner alone.
_OF = {
    (is_of_several, is_own): f"WITH {pick} {_CANDIDATES}".format(
        count=COUNTS[is_of_several], of_owner="AND user_id = $3" if is_own else "", unless=""
    )
    for is_of_several, pick in ((False, PICK_OF_ONE), (True, PICK_OF_SEVERAL))
    for is_own in (False, True)
}
_TAKE = f"""
WITH placed AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS given (id, agent_id, agent_name)
), {turns.NOTED}, {TAKE}
""".format(lease="$4")
# From one bucket to the next along the index, from where the last look ended.
_BLOCKED = """
WITH RECURSIVE found AS (
    (SELECT blocked_on FROM tasks
     WHERE queue = $1 AND state = 'queued' AND blocked_on > $2 ORDER BY blocked_on LIMIT 1)
    UNION ALL
    SELECT next.blocked_on FROM found CROSS JOIN LATERAL (
        SELECT blocked_on FROM tasks
        WHERE queue = $1 AND state = 'queued' AND blocked_on > found.blocked_on
        ORDER BY blocked_on LIMIT 1
    ) AS next
)
SELECT blocked_on FROM found LIMIT $3
"""


async def candidates(
    tx: Transaction, queues: Sequence[QueueName], *, owner: uuid.UUID | None, limit: int
) -> list[Candidate]:
    """The most urgent tasks of the queues, locked; none of queues that are paused."""
    rows = await tx.fetch(
        _OF[len(queues) > 1, owner is not None],
        list(queues),
        limit,
        *([] if owner is None else [owner]),
    )
    return [Candidate(TaskId(row["id"]), row["buckets"]) for row in rows]


async def take(
    tx: Transaction, ids: Sequence[TaskId], *, slots: Sequence[Slot], lease_seconds: float
) -> list[Claim]:
    """Gives tasks that `candidates` has locked to the slots, one each."""
    rows = await tx.fetch(
        _TAKE,
        list(ids),
        [slot.agent_id for slot in slots],
        [slot.agent_name for slot in slots],
        lease_seconds,
    )
    return [to_claim(row) for row in rows]


async def set_aside(tx: Transaction, blocked: Sequence[tuple[TaskId, str]]) -> None:
    """Takes locked tasks out of line until their bucket has room."""
    await tx.execute(
        """
        UPDATE tasks SET blocked_on = given.bucket
        FROM unnest($1::uuid[], $2::text[]) AS given (id, bucket) WHERE tasks.id = given.id
        """,
        [task_id for task_id, _ in blocked],
        [bucket for _, bucket in blocked],
    )


async def blocked_buckets(
    tx: Transaction, queue: QueueName, *, after: str, limit: int
) -> list[str]:
    """Buckets for which tasks of the queue were set aside."""
    rows = await tx.fetch(_BLOCKED, queue, after, limit)
    return [row["blocked_on"] for row in rows]


async def put_back(tx: Transaction, queue: QueueName, rooms: dict[str, int]) -> int:
    """Brings so many tasks of each bucket back into line, at their old places."""
    return await tx.execute(
        """
        UPDATE tasks SET blocked_on = NULL WHERE id IN (
            SELECT head.id FROM unnest($2::text[], $3::integer[]) AS given (bucket, room)
            CROSS JOIN LATERAL (
                SELECT id FROM tasks
                WHERE queue = $1 AND state = 'queued' AND blocked_on = given.bucket
                ORDER BY priority DESC, fair_tag, id LIMIT given.room FOR UPDATE SKIP LOCKED
            ) AS head
        )
        """,
        queue,
        list(rooms),
        list(rooms.values()),
    )


async def blocked_queues(database: Database) -> list[QueueName]:
    """The queues in which tasks were set aside."""
    rows = await database.fetch(
        """
        WITH RECURSIVE found AS (
            (SELECT queue FROM tasks WHERE state = 'queued' AND blocked_on IS NOT NULL
             ORDER BY queue LIMIT 1)
            UNION ALL
            SELECT next.queue FROM found CROSS JOIN LATERAL (
                SELECT queue FROM tasks
                WHERE state = 'queued' AND blocked_on IS NOT NULL AND queue > found.queue
                ORDER BY queue LIMIT 1
            ) AS next
        )
        SELECT queue FROM found LIMIT 10000
        """
    )
    return [QueueName(row["queue"]) for row in rows]


async def put_back_orphans(tx: Transaction, *, limit: int) -> list[QueueName]:
    """Brings tasks back into line whose limit is gone; the queue of each."""
    rows = await tx.fetch(
        """
        UPDATE tasks SET blocked_on = NULL WHERE id IN (
            SELECT id FROM tasks WHERE state = 'queued' AND blocked_on IS NOT NULL
                AND split_part(blocked_on, ':', 1)::uuid NOT IN (SELECT limits.id FROM limits)
            LIMIT $1 FOR UPDATE SKIP LOCKED
        ) RETURNING queue
        """,
        limit,
    )
    return [QueueName(row["queue"]) for row in rows]

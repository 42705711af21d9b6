"""SQL of whose turn it is between users whose tasks wait in several queues.

Inside a queue its tags say so. Between queues they say nothing: whoever spread his tasks over ten
queues would have ten turns. So each user has a time of his own that goes on with what he is given,
by his weight, and those who had nothing to do begin at the time of whoever was served last. Claims
from one queue alone leave it out, and it costs them nothing.
"""

import uuid

from orchestra.foundation.database import Transaction

# Its time is that at which the last task began that was served.
LAST = uuid.UUID(int=0)
_ORDER = "behind, moved_at NULLS FIRST, id"
# The places of `heads` (id, priority, user_id, behind, moved_at).
PICKED = f"""picked AS MATERIALIZED (
    SELECT id, row_number() OVER (ORDER BY priority DESC, turn, {_ORDER}) AS place FROM (
        SELECT heads.*, greatest(own.virtual_time, last.virtual_time, 0) + (row_number() OVER (
            PARTITION BY heads.priority, heads.user_id ORDER BY {_ORDER}
        ) - 1) / coalesce(weight, 1) AS turn
        FROM heads
        LEFT JOIN fair_turns AS own
            ON own.priority = heads.priority AND own.user_id = heads.user_id
        LEFT JOIN fair_turns AS last
            ON last.priority = heads.priority AND last.user_id = '{LAST}'
        LEFT JOIN user_weights ON user_weights.user_id = heads.user_id
    ) AS in_turn
)"""
# Notes who is served with `placed` (id). What another claim notes just now is left to it.
NOTED = f"""served AS MATERIALIZED (
    SELECT given.*, greatest(own.virtual_time, last.virtual_time, 0) AS start FROM (
        SELECT tasks.priority, tasks.user_id, coalesce(min(weight), 1) AS weight, count(*) AS count
        FROM placed JOIN tasks USING (id) LEFT JOIN user_weights USING (user_id)
        GROUP BY tasks.priority, tasks.user_id
    ) AS given
    LEFT JOIN fair_turns AS own ON own.priority = given.priority AND own.user_id = given.user_id
    LEFT JOIN fair_turns AS last ON last.priority = given.priority AND last.user_id = '{LAST}'
), turned AS MATERIALIZED (
    SELECT priority, user_id, start + count / weight AS virtual_time FROM served
    UNION ALL
    SELECT priority, '{LAST}', max(start + (count - 1) / weight) FROM served GROUP BY priority
), begun_turns AS (
    INSERT INTO fair_turns (priority, user_id, virtual_time)
    SELECT priority, user_id, virtual_time FROM turned WHERE NOT EXISTS (
        SELECT FROM fair_turns AS turn
        WHERE turn.priority = turned.priority AND turn.user_id = turned.user_id
    ) ORDER BY priority, user_id ON CONFLICT DO NOTHING
), late_turns AS MATERIALIZED (
    SELECT turned.* FROM turned JOIN fair_turns AS turn
        ON turn.priority = turned.priority AND turn.user_id = turned.user_id
    WHERE turn.virtual_time < turned.virtual_time FOR UPDATE OF turn SKIP LOCKED
), moved_turns AS (
    UPDATE fair_turns AS turn SET virtual_time = late_turns.virtual_time FROM late_turns
    WHERE turn.priority = late_turns.priority AND turn.user_id = late_turns.user_id
)"""


async def forget(tx: Transaction, *, limit: int) -> int:
    """Drops the times of users that say no more than the last one does."""
    return await tx.execute(
        """
        DELETE FROM fair_turns WHERE (priority, user_id) IN (
            SELECT turn.priority, turn.user_id FROM fair_turns AS turn
            JOIN fair_turns AS last ON last.priority = turn.priority AND last.user_id = $1
            WHERE turn.user_id <> $1 AND turn.virtual_time <= last.virtual_time
            ORDER BY priority, user_id LIMIT $2 FOR UPDATE OF turn SKIP LOCKED
        )
        """,
        LAST,
        limit,
    )

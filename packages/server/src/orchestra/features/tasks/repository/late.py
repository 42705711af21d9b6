"""SQL of what agents say of runs that are not theirs any more."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.features.tasks.types import TaskId
from orchestra.foundation.database import Transaction


@dataclass(frozen=True, slots=True)
class Heard:
    """An agent has spoken of a run, so many seconds ago."""

    task_id: TaskId
    epoch: int
    agent_id: uuid.UUID
    seconds_ago: float


async def heard(tx: Transaction, words: Sequence[Heard]) -> None:
    """Of runs that were taken from these agents as their tasks were cancelled; no others."""
    await tx.execute(
        """
        WITH locked AS MATERIALIZED (
            SELECT id FROM tasks WHERE id = ANY($1::uuid[]) AND cancel_requested_at IS NOT NULL
            ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE task_attempts SET
            last_heard_at = greatest(last_heard_at, now() - make_interval(secs => given.ago))
        FROM locked JOIN unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::float8[])
            AS given (id, epoch, agent_id, ago) USING (id)
        WHERE task_attempts.task_id = given.id AND task_attempts.epoch = given.epoch
            AND task_attempts.agent_id = given.agent_id
            AND ended_at < now() - make_interval(secs => given.ago)
        """,
        [word.task_id for word in words],
        [word.epoch for word in words],
        [word.agent_id for word in words],
        [word.seconds_ago for word in words],
    )


async def has_stopped(tx: Transaction, task_id: TaskId, epoch: int, agent_id: uuid.UUID) -> bool:
    """Notes that a run that was taken from this agent is over there; False if there is none.

    The first time counts; what is repeated is written at most once a second.
    """
    row = await tx.fetch_one(
        """
        WITH its AS (
            SELECT task_id, epoch, last_heard_at, stopped_at FROM task_attempts
            WHERE task_id = $1 AND epoch = $2 AND agent_id = $3 AND ended_at IS NOT NULL
        ), noted AS (
            UPDATE task_attempts
            SET last_heard_at = now(), stopped_at = coalesce(its.stopped_at, now())
            FROM its
            WHERE task_attempts.task_id = its.task_id AND task_attempts.epoch = its.epoch AND (
                its.stopped_at IS NULL OR its.last_heard_at < now() - interval '1 second'
            )
        )
        SELECT task_id FROM its
        """,
        task_id,
        epoch,
        agent_id,
    )
    return row is not None

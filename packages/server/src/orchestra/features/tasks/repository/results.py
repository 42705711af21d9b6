"""SQL by which runs end as they nearly always do: with a result, in one statement."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.features.events import outbox_clause, outbox_columns
from orchestra.features.tasks.repository.rows import encoded
from orchestra.features.tasks.types import TRANSITIONS, TaskId, TaskState, Trigger
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """A result that an agent gave under a lease; `sequence` is that of the event."""

    task_id: TaskId
    epoch: int
    agent_id: uuid.UUID
    result_json: bytes
    usage_json: bytes | None
    sequence: int


@dataclass(frozen=True, slots=True)
class Written:
    """The rows of the outbox, and whether a feature waits for one of the ends."""

    outbox_ids: list[int]
    is_awaited: bool


# All or nothing: unless every lease is as its agent thinks, nothing is written, and the slow way
# finds out what is wrong. Locks are taken in the order of ids, as everywhere.
_SUCCEED = f"""
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::uuid[], $2::bigint[], $3::uuid[], $4::jsonb[], $5::jsonb[], $6::bigint[]
    ) AS given (id, epoch, agent_id, result, usage, sequence)
), locked AS MATERIALIZED (
    SELECT tasks.id FROM tasks JOIN given ON tasks.id = given.id
        AND tasks.epoch = given.epoch AND tasks.agent_id = given.agent_id
    WHERE state = '{TaskState.RUNNING}' ORDER BY tasks.id FOR UPDATE OF tasks
), complete AS MATERIALIZED (
    SELECT count(*) = cardinality($1) AS all_there FROM locked
), attempts AS (
    UPDATE task_attempts
    SET ended_at = now(), outcome = '{TaskState.SUCCEEDED}', error = NULL
    FROM given CROSS JOIN complete
    WHERE all_there AND task_id = given.id AND task_attempts.epoch = given.epoch
), ended AS (
    UPDATE tasks SET
        state = '{TRANSITIONS[TaskState.RUNNING, Trigger.RESULT]}', result = given.result,
        error = NULL, usage = given.usage, lease_expires_at = NULL, run_deadline = NULL,
        run_after = NULL, queue_deadline = NULL, finished_at = now(),
        finish_pending = wants_finish, snapshot_text = '', snapshot_epoch = given.epoch,
        snapshot_sequence = given.sequence
    FROM given CROSS JOIN complete WHERE all_there AND tasks.id = given.id
    RETURNING wants_finish
), told AS (
    {outbox_clause(first=7, condition="(SELECT all_there FROM complete)")}
)
SELECT (SELECT array_agg(id) FROM told) AS outbox_ids, bool_or(wants_finish) AS is_awaited
FROM ended HAVING count(*) > 0
"""


async def succeed(
    database: Database, successes: Sequence[Success], parcels: Sequence[Sequence[Message]]
) -> Written | None:
    """Ends all of the runs and tells of it, or none: then None, and nothing is written.

    One statement is its own transaction. No task may be among them twice.
    """
    rows = await database.fetch(
        _SUCCEED,
        [item.task_id for item in successes],
        [item.epoch for item in successes],
        [item.agent_id for item in successes],
        [encoded(item.result_json) for item in successes],
        [encoded(item.usage_json) for item in successes],
        [item.sequence for item in successes],
        *outbox_columns(parcels),
    )
    return Written(rows[0]["outbox_ids"], rows[0]["is_awaited"]) if rows else None

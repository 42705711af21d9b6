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
# finds out what is wrong. Locks are taken in the order of ids, as everywhere, and each row is
# looked up by its id: the index of held tasks, which the planner likes where it sees the state
# beside the id (hence OFFSET 0), has all that the agent holds, and what is dead of what it held.
_SUCCEED = f"""
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::uuid[], $2::bigint[], $3::uuid[], $4::jsonb[], $5::jsonb[], $6::bigint[]
    ) AS given (id, epoch, agent_id, result, usage, sequence)
), locked AS MATERIALIZED (
    SELECT FROM given CROSS JOIN LATERAL (
        SELECT state, epoch, agent_id FROM tasks WHERE tasks.id = given.id OFFSET 0 FOR UPDATE
    ) AS held
    WHERE held.state = '{TaskState.RUNNING}' AND held.epoch = given.epoch
        AND held.agent_id = given.agent_id
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
    ordered = sorted(successes, key=lambda item: item.task_id)
    rows = await database.fetch(
        _SUCCEED,
        [item.task_id for item in ordered],
        [item.epoch for item in ordered],
        [item.agent_id for item in ordered],
        [encoded(item.result_json) for item in ordered],
        [encoded(item.usage_json) for item in ordered],
        [item.sequence for item in ordered],
        *outbox_columns(parcels),
    )
    return Written(rows[0]["outbox_ids"], rows[0]["is_awaited"]) if rows else None

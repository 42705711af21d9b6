"""SQL by which a task that was just claimed goes to an agent of another control plane.

Who has claimed it may do one of two things with it as long as nobody has touched the lease since:
the other control plane takes it over, or the claimer keeps it. The row decides which came first.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.features.tasks.repository.claiming import CLAIM_COLUMNS, Claim, Slot, to_claim
from orchestra.features.tasks.types import TaskId, TaskState
from orchestra.foundation.database import Database

# In the order of ids, as everybody locks several tasks.
_GIVEN = """
WITH locked AS MATERIALIZED (
    SELECT id FROM tasks WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
)"""
# A claim sets both times to the same moment, and whatever happens to the lease later moves one.
_TAKE_OVER = f"""
{_GIVEN}, taken AS (
    UPDATE tasks SET agent_id = given.agent_id
    FROM locked JOIN unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[])
        AS given (id, epoch, holder, agent_id, agent_name) USING (id)
    WHERE tasks.id = given.id AND tasks.epoch = given.epoch AND tasks.agent_id = given.holder
        AND tasks.state = '{TaskState.RUNNING}' AND tasks.last_progress_at = tasks.started_at
    RETURNING tasks.*, given.agent_name
), attempts AS (
    UPDATE task_attempts SET agent_id = taken.agent_id, agent_name = taken.agent_name
    FROM taken WHERE task_id = taken.id AND task_attempts.epoch = taken.epoch
)
SELECT {CLAIM_COLUMNS} FROM taken ORDER BY priority DESC, fair_tag, id
"""
_KEEP = f"""
{_GIVEN}
UPDATE tasks SET last_progress_at = clock_timestamp()
FROM locked JOIN unnest($1::uuid[], $2::bigint[], $3::uuid[]) AS given (id, epoch, holder)
    USING (id)
WHERE tasks.id = given.id AND tasks.epoch = given.epoch AND tasks.agent_id = given.holder
    AND tasks.state IN ('{TaskState.RUNNING}', '{TaskState.CANCELLING}')
RETURNING tasks.id
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """A claimed task, and the agent for which it was claimed."""

    task_id: TaskId
    epoch: int
    holder: uuid.UUID


async def take_over(
    database: Database, leases: Sequence[Lease], *, slots: Sequence[Slot]
) -> list[Claim]:
    """Gives each task to the slot beside it, under the same lease and attempt.

    Returns those that were still to be had, the most urgent first.
    """
    rows = await database.fetch(
        _TAKE_OVER,
        [lease.task_id for lease in leases],
        [lease.epoch for lease in leases],
        [lease.holder for lease in leases],
        [slot.agent_id for slot in slots],
        [slot.agent_name for slot in slots],
    )
    return [to_claim(row) for row in rows]


async def keep(database: Database, leases: Sequence[Lease]) -> set[TaskId]:
    """Lets nobody take these over any more; returns those that nobody has."""
    rows = await database.fetch(
        _KEEP,
        [lease.task_id for lease in leases],
        [lease.epoch for lease in leases],
        [lease.holder for lease in leases],
    )
    return {TaskId(row["id"]) for row in rows}

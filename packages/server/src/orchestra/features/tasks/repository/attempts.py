"""SQL of leases that tasks had."""

import uuid
from collections.abc import Sequence

from orchestra.features.tasks.types import TaskId
from orchestra.foundation.database import Transaction


async def agents_of(
    tx: Transaction, leases: Sequence[tuple[TaskId, int]]
) -> dict[TaskId, uuid.UUID]:
    """Which agents had these leases, by task."""
    rows = await tx.fetch(
        """
        SELECT task_id, agent_id FROM task_attempts
        JOIN unnest($1::uuid[], $2::bigint[]) AS given (task_id, epoch) USING (task_id, epoch)
        """,
        [task_id for task_id, _ in leases],
        [epoch for _, epoch in leases],
    )
    return {TaskId(row["task_id"]): row["agent_id"] for row in rows}

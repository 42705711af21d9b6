"""SQL that finds tasks which are not over when the whole of them should be."""

from orchestra.features.tasks.repository.leases import Overdue
from orchestra.features.tasks.types import TaskId
from orchestra.foundation.database import Transaction

RUNNING = "deadline_running"
AT_REST = "deadline"


async def past(tx: Transaction, *, limit: int) -> list[Overdue]:
    """A batch of them, locked. One that is being cancelled is about to end, and has its own time.

    What others have locked is skipped, so that nobody waits for anybody.
    """
    rows = await tx.fetch(
        """
        SELECT id, epoch, state = 'running' AS is_running FROM tasks
        WHERE deadline < now() AND finished_at IS NULL AND state <> 'cancelling'
        ORDER BY deadline LIMIT $1 FOR UPDATE SKIP LOCKED
        """,
        limit,
    )
    return [
        Overdue(TaskId(row["id"]), row["epoch"], RUNNING if row["is_running"] else AT_REST)
        for row in rows
    ]

"""SQL that says, in one look, whether the time of anything has come: nearly always it has not."""

from dataclasses import dataclass

from orchestra.features.tasks.repository.leases import RUN_IS_OVERDUE
from orchestra.foundation.database import Database

_LOOK = f"""
SELECT EXISTS (SELECT FROM tasks WHERE {RUN_IS_OVERDUE})
    OR EXISTS (SELECT FROM tasks WHERE state = 'queued' AND queue_deadline < now())
    OR EXISTS (
        SELECT FROM tasks WHERE deadline < now() AND finished_at IS NULL AND state <> 'cancelling'
    ),
    extract(epoch FROM least(
        (SELECT min(wait_until) FROM tasks WHERE state = 'waiting' AND wait_until IS NOT NULL),
        (SELECT min(expires_at) FROM approvals WHERE state = 'open')
    ) - now())::float8,
    (SELECT extract(epoch FROM run_after - now())::float8 FROM tasks
     WHERE state = 'queued' AND run_after IS NOT NULL ORDER BY run_after LIMIT 1)
"""


@dataclass(frozen=True, slots=True)
class Times:
    """Whether a lease or a deadline is over; seconds to what comes next, None if nothing does."""

    is_overdue: bool
    to_waking: float | None  # of a timer, or the end of a question
    to_placing: float | None  # of a delayed task


async def look(database: Database, *, margin_seconds: float, cancel_grace_seconds: float) -> Times:
    """Without locks; `margin_seconds` and the time to stop are those of `leases.overdue_runs`."""
    rows = await database.fetch(_LOOK, margin_seconds, cancel_grace_seconds)
    return Times(*rows[0])

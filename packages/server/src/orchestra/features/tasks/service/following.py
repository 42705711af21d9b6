"""What the end of a task means for others: who waited for it, asked in its name, or hangs on it."""

from collections.abc import Sequence

from orchestra.features.events import Outbox
from orchestra.features.tasks.repository import ending, families
from orchestra.features.tasks.repository import steps as step_rows
from orchestra.features.tasks.service import approvals
from orchestra.features.tasks.service.suspending import wake
from orchestra.features.tasks.service.tree import Stop, settle_stopped, stop_all
from orchestra.features.tasks.types import TaskId
from orchestra.foundation.database import Transaction
from orchestra.foundation.messaging import Bus

PARENT_ENDED = "The task that had started it is over."


async def follow(tx: Transaction, outbox: Outbox, bus: Bus, ended: Sequence[TaskId]) -> None:
    """For tasks that are over, many together; doing it again changes nothing.

    Parents see the outcomes and go on, questions are withdrawn, children that are not detached are
    stopped, and what waited above for the end of a cancelled tree may be over.
    """
    ended = await families.with_kin(tx, ended)
    if not ended:
        return
    parents = await families.live_parents(tx, ended)
    above = await families.stopping_above(tx, ended)
    orphaned = await families.with_live_children(tx, ended)
    below = await families.unstopped_below(tx, orphaned) if orphaned else set[TaskId]()
    if concerned := parents | above | below:
        await ending.lock(tx, sorted(concerned))
    if parents:
        await step_rows.settle_children(tx, ended)
        await wake(tx, outbox, bus, sorted(parents))
    await approvals.withdraw(tx, outbox, ended)
    for task_id in orphaned:
        stop = Stop(top=task_id, by="system", reason=PARENT_ENDED)
        await stop_all(tx, outbox, bus, await families.unstopped_below(tx, [task_id]), stop)
    await settle_stopped(tx, outbox, bus, above)

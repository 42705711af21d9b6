"""What the end of a task means for others: who waited for it, asked in its name, or hangs on it."""

from collections.abc import Sequence

from orchestra.features.events import Outbox
from orchestra.features.tasks.repository import ending, families
from orchestra.features.tasks.repository import steps as step_rows
from orchestra.features.tasks.service.orchestration import approvals
from orchestra.features.tasks.service.orchestration.suspending import wake
from orchestra.features.tasks.service.orchestration.tree import Stop, settle_stopped, stop_all
from orchestra.features.tasks.types import TaskId
from orchestra.foundation.database import Transaction
from orchestra.foundation.messaging import Bus

PARENT_ENDED = "The task that had started it is over."


async def lock(tx: Transaction, ended: Sequence[TaskId]) -> None:
    """Locks ended tasks and all that their ends may change, together: in the order of the ids.

    Whoever locked an end before its parent would wait for those who stop a tree from its top.
    """
    concerned = set(ended)
    if kin := await families.with_kin(tx, ended):
        concerned |= await families.live_parents(tx, kin) | await families.stopping_above(tx, kin)
        if orphaned := await families.with_live_children(tx, kin):
            concerned |= await families.unstopped_below(tx, orphaned)
    await ending.lock(tx, sorted(concerned))


async def follow(tx: Transaction, outbox: Outbox, bus: Bus, ended: Sequence[TaskId]) -> None:
    """For tasks that are over, many together; doing it again changes nothing.

    What it changes is locked. Parents see the outcomes and go on, questions are withdrawn, children
    that are not detached are stopped, and what waited above for the end of a cancelled tree may be
    over.
    """
    ended = await families.with_kin(tx, ended)
    if not ended:
        return
    if parents := await families.live_parents(tx, ended):
        await step_rows.settle_children(tx, ended)
        await wake(tx, outbox, bus, sorted(parents))
    await approvals.withdraw(tx, outbox, ended)
    for task_id in await families.with_live_children(tx, ended):
        stop = Stop(top=task_id, by="system", reason=PARENT_ENDED)
        await stop_all(tx, outbox, bus, await families.unstopped_below(tx, [task_id]), stop)
    await settle_stopped(tx, outbox, bus, await families.stopping_above(tx, ended))

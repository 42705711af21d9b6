"""Background work of schedules: firing what is due, and hearing of ends that others wait for."""

from collections.abc import Awaitable, Callable

from orchestra.features.events import Outbox
from orchestra.features.schedules import repository
from orchestra.features.schedules.service.firing import Firing
from orchestra.features.tasks import Submitter, Task
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

Step = Callable[[], Awaitable[float]]

LOOK_SECONDS = 0.5
# After so many the loop gives way to the others for a moment.
MANY = 200


def fire(
    database: Database, bus: Bus, outbox: Outbox, submitter: Submitter, settings: Settings
) -> Step:
    """A step for `forever`: fires what is due. Every worker may do it at once."""
    firing = Firing(database, bus, outbox, submitter, settings)

    async def step() -> float:
        for _ in range(MANY):
            if not await firing.fire_next():
                return LOOK_SECONDS
        return 0.0

    return step


async def on_task_finished(tx: Transaction, task: Task) -> None:
    """What tasks call at the end of a task: the next of a schedule may wait for it."""
    if task.parent_id is None:  # what a schedule has submitted is nobody's child
        await repository.wake_after(tx, task.id)

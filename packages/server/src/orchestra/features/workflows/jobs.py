"""Background work of workflows: a node's end, or room for it, takes its run on."""

from collections.abc import Awaitable, Callable

from orchestra.features.events import Outbox
from orchestra.features.tasks import OnTaskFinished, Rerun, Room, wait_for_room
from orchestra.features.workflows.service.running import Runner
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

ROOM_SECONDS = 2.0
ROOM_BATCH = 100

Step = Callable[[], Awaitable[float]]


def on_task_finished(outbox: Outbox, bus: Bus, settings: Settings, room: Room) -> OnTaskFinished:
    """What tasks call in their transaction when a task is over, at least once."""
    return Runner(outbox, bus, settings, room).on_task_finished


def rerun(outbox: Outbox, bus: Bus, settings: Settings, room: Room) -> Rerun:
    """What tasks call when somebody wants a dead letter again that is a run."""
    return Runner(outbox, bus, settings, room).rerun


def begin_waiting(
    database: Database, outbox: Outbox, bus: Bus, settings: Settings, room: Room
) -> Step:
    """Begins nodes that have waited for room in their queues. Run by one worker at a time."""
    runner = Runner(outbox, bus, settings, room)

    async def step() -> float:
        found = await wait_for_room(database, room, limit=ROOM_BATCH)
        for run_id in found:
            async with database.transaction() as tx:
                await runner.on_room(tx, run_id)
        return 0.0 if len(found) == ROOM_BATCH else ROOM_SECONDS

    return step

"""Background work of chat: ends of answers, and forgetting what was deleted."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from orchestra.features.chat import repository
from orchestra.features.chat.service import answers
from orchestra.features.events import Outbox
from orchestra.features.tasks import OnTaskFinished, Task
from orchestra.foundation import clock
from orchestra.foundation.database import Database, Transaction

Step = Callable[[], Awaitable[float]]

# The net under `on_task_finished`: an answer that nobody settled is found within a minute or so.
SETTLE_SECONDS = 30.0
SETTLE_AFTER = timedelta(seconds=30)
BATCH = 200
KEEP_DELETED = timedelta(days=30)
PURGE_SECONDS = 3_600.0
# Any fixed number: one worker at a time does this.
CHAT_LOCK = 7_203_341


def on_task_finished(outbox: Outbox) -> OnTaskFinished:
    """What tasks call in their transaction when a task is over, at least once."""

    async def settle(tx: Transaction, task: Task) -> None:
        if task.parent_id is None:  # a turn is nobody's child
            await answers.settle_tasks(tx, outbox, [task.id])

    return settle


def settle_left_behind(database: Database, outbox: Outbox) -> Step:
    """A step for `forever`: settles answers whose tasks have been over for a while."""

    async def step() -> float:
        async with database.transaction() as tx:
            writing = await repository.streaming_anywhere(
                tx, created_before=clock.now() - SETTLE_AFTER, limit=BATCH
            )
        for _conversation, task_id in writing:
            async with database.transaction() as tx:
                await answers.settle_tasks(tx, outbox, [task_id])
        return SETTLE_SECONDS

    return step


def purge(database: Database) -> Step:
    """A step for `forever`: removes conversations that were deleted a month ago."""

    async def step() -> float:
        async with database.transaction() as tx:
            removed = await repository.purge(
                tx, deleted_before=clock.now() - KEEP_DELETED, limit=BATCH
            )
        return 1.0 if removed == BATCH else PURGE_SECONDS

    return step

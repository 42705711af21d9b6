"""Background work: what nobody answers for, lost permits, and calling who waits for an end."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from nats.aio.msg import Msg

from orchestra.features.events import Outbox
from orchestra.features.tasks import events
from orchestra.features.tasks.repository import ending, reading
from orchestra.features.tasks.service.ends.reconciling import Reconciler
from orchestra.features.tasks.service.ends.retention import Retention
from orchestra.features.tasks.service.orchestration import following
from orchestra.features.tasks.service.queues.delayed import Delayed
from orchestra.features.tasks.service.reading.telling import Teller
from orchestra.features.tasks.service.timekeeping import Timekeeper
from orchestra.features.tasks.types import Task, TaskId
from orchestra.foundation.database import AWAY, NOT_NOW, Database, Transaction
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

PERMIT_SECONDS = 5.0
DELIVER_SECONDS = 1.0
DELIVER_BATCH = 100
FORGET_SECONDS = 60.0
# Between two batches, in which others have the disk.
FORGET_PAUSE_SECONDS = 0.1

Step = Callable[[], Awaitable[float]]
OnTaskFinished = Callable[[Transaction, Task], Awaitable[None]]
Follow = Callable[[Transaction, Sequence[TaskId]], Awaitable[None]]


def keep_time(database: Database, outbox: Outbox, bus: Bus, settings: Settings) -> Step:
    """Does what is due or overdue. Run by one worker at a time."""
    return Timekeeper(database, outbox, bus, settings).step


def renew_permits(database: Database, outbox: Outbox, bus: Bus, settings: Settings) -> Step:
    """Sends permits again for what waits. Run by one worker at a time."""
    reconciler = Reconciler(database, outbox, bus, settings)

    async def step() -> float:
        await reconciler.permits()
        return PERMIT_SECONDS

    return step


def tidy_shares(database: Database, bus: Bus) -> Step:
    """Keeps fair shares true when waiting tasks are cancelled. Run by one worker at a time."""
    return Delayed(database, bus).tidy


def tell_waiting(database: Database, bus: Bus) -> Step:
    """Says on the feeds why tasks wait. Run by one worker at a time."""
    return Teller(database, bus).step


def follow_ends(outbox: Outbox, bus: Bus) -> Follow:
    """What the ends of tasks mean for their parents, their children and what they have asked."""

    async def follow(tx: Transaction, ended: Sequence[TaskId]) -> None:
        await following.follow(tx, outbox, bus, ended)

    return follow


def forget(database: Database, settings: Settings) -> Step:
    """Forgets tasks that ended long ago. Run by one worker at a time."""
    retention = Retention(database, settings)

    async def step() -> float:
        return FORGET_PAUSE_SECONDS if await retention.forget_tasks() else FORGET_SECONDS

    return step


def release_keys(database: Database, settings: Settings) -> Step:
    """Frees idempotency keys that have stood for their time. Run by one worker at a time."""
    retention = Retention(database, settings)

    async def step() -> float:
        return FORGET_PAUSE_SECONDS if await retention.release_keys() else FORGET_SECONDS

    return step


class FinishDelivery:
    """Calls whoever submitted a task inside a transaction of its own, at least once, at its end.

    Woken by word of an end, and by a look every second. The calls run in one transaction with the
    note that they were made; any worker may do it. `follow` is called once for many ends.
    """

    def __init__(
        self,
        database: Database,
        callbacks: Sequence[OnTaskFinished],
        *,
        follow: Follow | None = None,
    ) -> None:
        self._database = database
        self._follow = follow
        self._callbacks = tuple(callbacks)
        self._wakened = asyncio.Event()

    async def listen(self, bus: Bus) -> None:
        await bus.listen(events.FINISHED_SUBJECT, self._on_finished)

    async def step(self) -> float:
        """For `forever`: delivers all there is, then waits to be woken, a second at most."""
        self._wakened.clear()
        while await self.deliver():
            pass
        try:
            async with asyncio.timeout(DELIVER_SECONDS):
                await self._wakened.wait()
        except TimeoutError:
            pass
        return 0.0

    async def deliver(self) -> int:
        """One batch; returns its size. What fails is undone and tried again, ever later."""
        # Looked for outside of the transaction: mostly there are none.
        untold = await ending.untold(self._database, limit=DELIVER_BATCH)
        if not untold:
            return 0
        async with self._database.transaction() as tx:
            await following.lock(tx, untold)
            taken = await ending.take_finished(tx, untold)
            failed = await self._tell(tx, taken)
            await ending.put_back_finished(tx, list(failed))
        return len(taken)

    async def _tell(self, tx: Transaction, taken: Sequence[TaskId]) -> set[TaskId]:
        """All together; one by one only if that fails. Returns those to be tried again."""
        try:
            async with tx.savepoint():
                await self._call(tx, taken)
        except (*AWAY, *NOT_NOW):  # with its locks gone, the whole of it may succeed
            raise
        except Exception:
            log.exception("ends of tasks were not delivered", task_ids=[str(id) for id in taken])
            if len(taken) == 1:
                return set(taken)
            alone = [await self._tell(tx, [task_id]) for task_id in taken]
            return {task_id for failed in alone for task_id in failed}
        return set()

    async def _call(self, tx: Transaction, taken: Sequence[TaskId]) -> None:
        if self._follow is not None and taken:
            await self._follow(tx, taken)
        for task in await reading.get_all(tx, taken):
            for callback in self._callbacks:
                await callback(tx, task)

    async def _on_finished(self, _message: Msg) -> None:
        self._wakened.set()

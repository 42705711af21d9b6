"""Makes tasks of the times that have come: each once, whichever worker is killed at which point.

The task, its idempotency key `schedule:<id>:<time>` and the advance to the next time are one
transaction, under the lock of the schedule's row.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import structlog

from orchestra.features.events import Outbox
from orchestra.features.identity import acting_for
from orchestra.features.schedules import repository
from orchestra.features.schedules.service import timetable
from orchestra.features.schedules.types import CatchUp, Overlap, Schedule
from orchestra.features.tasks import NewTask, Submitter, TaskRequest, cancel, visible_task
from orchestra.foundation.auth import Actor, Permission
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import Conflict, InvalidInput, NotFound, OrchestraError, TooLarge
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

# How soon a schedule looks again whose task waits for the end of another; it is told of that end.
LOOK_AGAIN = timedelta(seconds=5)
POSTPONE_SECONDS = 5.0
NOT_ALLOWED = "The owner of this schedule may not submit tasks."
# A wish that cannot be granted now will not be in a minute either: the time is passed over.
REFUSED = (InvalidInput, TooLarge, Conflict)


@dataclass(slots=True)
class _Outcome:
    """What becomes of the times that have come."""

    pending: list[datetime]
    last_at: datetime | None
    last_task_id: uuid.UUID | None
    last_error: str | None = None
    skipped: int = 0


class Firing:
    """One for each worker."""

    def __init__(
        self, database: Database, bus: Bus, outbox: Outbox, submitter: Submitter, settings: Settings
    ) -> None:
        self._database = database
        self._bus = bus
        self._outbox = outbox
        self._submitter = submitter
        self._settings = settings

    async def fire_next(self) -> bool:
        """Looks at the schedule that is due first; False when none is."""
        if not await repository.is_any_due(self._database):
            return False
        schedule: Schedule | None = None
        try:
            async with self._database.transaction() as tx:
                schedule = await repository.take_due(tx)
                if schedule is not None:
                    await self._look_at(tx, schedule)
        except Exception as error:
            if schedule is None:
                raise
            await self._postpone(schedule, error)
        return schedule is not None

    async def _look_at(self, tx: Transaction, schedule: Schedule) -> None:
        now = await repository.now(tx)
        came, missed = self._came(schedule, now)
        pending = [*schedule.pending, *came]
        dropped = max(0, len(pending) - self._settings.max_catch_up)
        outcome = _Outcome(pending[dropped:], schedule.last_at, schedule.last_task_id)
        outcome.skipped = missed + dropped
        await self._fire(tx, schedule, outcome)
        next_at = timetable.next_after(schedule.timing, now) if came or missed else schedule.next_at
        waits_until = now + LOOK_AGAIN if outcome.pending else None
        await repository.update(
            tx,
            schedule.id,
            {
                "next_at": next_at,
                "pending": outcome.pending,
                "wake_at": min((at for at in (next_at, waits_until) if at), default=None),
                "last_at": outcome.last_at,
                "last_task_id": outcome.last_task_id,
                "last_error": outcome.last_error or (None if came else schedule.last_error),
                "skipped": schedule.skipped + outcome.skipped,
            },
        )

    def _came(self, schedule: Schedule, now: datetime) -> tuple[list[datetime], int]:
        """The times that have come and are to be fired, and how many are passed over."""
        if schedule.next_at is None or schedule.next_at > now:
            return [], 0
        limit = self._settings.max_catch_up
        times = timetable.due(schedule.timing, schedule.next_at, now, limit=limit)
        grace = timedelta(seconds=self._settings.schedule_grace_seconds)
        wanted = _wanted(schedule.catch_up, times, oldest=now - grace)
        return wanted, len(times) - len(wanted)

    async def _fire(self, tx: Transaction, schedule: Schedule, outcome: _Outcome) -> None:
        actor = await acting_for(tx, schedule.user_id)
        if actor is None or not actor.may(Permission.TASKS_WRITE):
            outcome.last_error = NOT_ALLOWED
            outcome.skipped += len(outcome.pending)
            outcome.pending = []
        elif schedule.overlap is Overlap.CANCEL_PREVIOUS and outcome.pending:
            # The others would be cancelled in the same moment.
            outcome.skipped += len(outcome.pending) - 1
            outcome.pending = outcome.pending[-1:]
        while actor is not None and outcome.pending:
            if await self._is_busy(tx, actor, outcome.last_task_id):
                if schedule.overlap is Overlap.QUEUE:
                    return
                if schedule.overlap is Overlap.SKIP:
                    outcome.skipped += len(outcome.pending)
                    outcome.pending = []
                    return
                await self._cancel(tx, actor, outcome.last_task_id)
            await self._submit(tx, actor, schedule, outcome)

    async def _submit(
        self, tx: Transaction, actor: Actor, schedule: Schedule, outcome: _Outcome
    ) -> None:
        due = outcome.pending.pop(0)
        key = f"schedule:{schedule.id}:{due.isoformat()}"
        try:
            task = await self._submitter.submit(actor, _wish(schedule, key), tx=tx)
        except (*REFUSED, msgspec.ValidationError) as error:
            outcome.last_error = error.message if isinstance(error, OrchestraError) else str(error)
            outcome.skipped += 1
            log.warning("a schedule was refused", schedule=str(schedule.id), why=str(error))
            return
        outcome.last_at, outcome.last_task_id = due, task.id
        log.info("fired", schedule=str(schedule.id), due=due.isoformat(), task_id=str(task.id))

    async def _is_busy(self, tx: Transaction, actor: Actor, task_id: uuid.UUID | None) -> bool:
        if task_id is None:
            return False
        try:
            return not (await visible_task(tx, actor, task_id)).life.is_over
        except NotFound:  # retention has taken it
            return False

    async def _cancel(self, tx: Transaction, actor: Actor, task_id: uuid.UUID | None) -> None:
        if task_id is not None:
            why = "The schedule's next time has come."
            await cancel(tx, self._outbox, self._bus, actor, task_id, why)

    async def _postpone(self, schedule: Schedule, error: Exception) -> None:
        log.warning("a schedule waits", schedule=str(schedule.id), error=str(error))
        why = error.message if isinstance(error, OrchestraError) else "This failed on our side."
        async with self._database.transaction() as tx:
            await repository.postpone(tx, schedule.id, seconds=POSTPONE_SECONDS, why=why)


async def run_now(
    tx: Transaction, submitter: Submitter, schedule: Schedule, *, key: str | None
) -> uuid.UUID:
    """A task out of turn, of the schedule's owner; raises what submitting raises."""
    actor = await acting_for(tx, schedule.user_id)
    if actor is None or not actor.may(Permission.TASKS_WRITE):
        raise Conflict(NOT_ALLOWED)
    task = await submitter.submit(actor, _wish(schedule, key), tx=tx)
    await repository.update(tx, schedule.id, {"last_task_id": task.id})
    return task.id


def _wish(schedule: Schedule, key: str | None) -> NewTask:
    return msgspec.convert(schedule.template, TaskRequest).to_new(key)


def _wanted(policy: CatchUp, times: Sequence[datetime], *, oldest: datetime) -> list[datetime]:
    """Which of the times are fired; none of them is late if it is not older than `oldest`."""
    if policy is CatchUp.ALL:
        return list(times)
    on_time = [time for time in times if time >= oldest]
    return on_time or (list(times[-1:]) if policy is CatchUp.ONE else [])

"""Finds, by the database's clock alone, what nobody answers for any more, and puts it right."""

from collections.abc import Sequence

import structlog

from orchestra.features.events import Outbox
from orchestra.features.tasks import events
from orchestra.features.tasks.repository import claiming, deadlines, leases
from orchestra.features.tasks.repository.leases import Overdue
from orchestra.features.tasks.service.ends import faults
from orchestra.features.tasks.service.ends.ending import Ending, end_all, lost
from orchestra.features.tasks.types import TaskProblem, Trigger
from orchestra.foundation import crash_points, ids
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

BATCH = 200
_REASONS = {
    "agent_lost": "The agent was not heard of any more.",
    "run_timeout": "The run took longer than it may.",
    "progress_timeout": "The agent said nothing for longer than it may.",
    "cancel_unanswered": "The agent did not stop in time.",
}


class Reconciler:
    """Steps for the worker; each says how many tasks it has put right."""

    def __init__(self, database: Database, outbox: Outbox, bus: Bus, settings: Settings) -> None:
        self._database = database
        self._outbox = outbox
        self._bus = bus
        self._settings = settings

    async def overdue(self) -> int:
        """One batch of each kind."""
        return await self.overdue_runs() + await self.overdue_waiting() + await self.past_deadline()

    async def overdue_runs(self) -> int:
        """Takes back one batch of runs whose lease or time is over."""
        async with self._database.transaction() as tx:
            overdue = await leases.overdue_runs(
                tx,
                margin_seconds=self._settings.lease_seconds,
                cancel_grace_seconds=self._settings.cancel_grace_seconds,
                limit=BATCH,
            )
            endings = [_taken_back(item) for item in overdue]
            outcomes = await end_all(
                tx,
                self._outbox,
                self._bus,
                endings,
                poison_attempts=self._settings.poison_attempts,
            )
            await faults.note(tx, self._bus, endings, outcomes, settings=self._settings)
            if overdue:
                crash_points.reached("take-back.before-commit")
        if overdue:
            crash_points.reached("take-back.after-commit")
        _report(overdue)
        return len(overdue)

    async def overdue_waiting(self) -> int:
        """Fails one batch of tasks that have waited longer than they may."""
        async with self._database.transaction() as tx:
            overdue = await leases.overdue_waiting(tx, limit=BATCH)
            await end_all(tx, self._outbox, self._bus, [_expired(item) for item in overdue])
        _report(overdue)
        return len(overdue)

    async def past_deadline(self) -> int:
        """Ends one batch of tasks that as a whole take longer than they may."""
        async with self._database.transaction() as tx:
            overdue = await deadlines.past(tx, limit=BATCH)
            await end_all(tx, self._outbox, self._bus, [_too_late(item) for item in overdue])
        _report(overdue)
        return len(overdue)

    async def permits(self) -> int:
        """Sends a permit for each queue and priority in which tasks wait: theirs may be lost."""
        async with self._database.transaction() as tx:
            waiting = await claiming.waiting_queues(tx)
        permits = [
            events.permit_again(queue, priority, str(ids.new_id())) for queue, priority in waiting
        ]
        await self._bus.publish_soon(*permits)
        return len(permits)


def _taken_back(item: Overdue) -> Ending:
    return lost(item.task_id, item.epoch, _REASONS[item.cause], code=item.cause)


def _expired(item: Overdue) -> Ending:
    reason = "No agent has taken it in time."
    return Ending(
        task_id=item.task_id,
        epoch=item.epoch,
        trigger=Trigger.EXPIRE,
        problem=TaskProblem(item.cause, reason),
        reason=reason,
    )


def _too_late(item: Overdue) -> Ending:
    reason = "The deadline of the task has passed."
    return Ending(
        task_id=item.task_id,
        epoch=item.epoch,
        trigger=Trigger.GIVE_UP if item.cause == deadlines.RUNNING else Trigger.EXPIRE,
        problem=TaskProblem("deadline", reason),
        reason=reason,
    )


def _report(overdue: Sequence[Overdue]) -> None:
    for item in overdue:
        log.info("overdue", task_id=str(item.task_id), epoch=item.epoch, cause=item.cause)

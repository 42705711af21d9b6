"""Who may have which schedule, and what changes when it is changed."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestra.features import agents, audit
from orchestra.features.schedules import repository
from orchestra.features.schedules.errors import BadTiming, ScheduleNotFound, TooManySchedules
from orchestra.features.schedules.service import timetable
from orchestra.features.schedules.types import NewSchedule, Schedule, ScheduleId, Timing
from orchestra.features.tasks import TaskRequest, check_task
from orchestra.foundation import ids
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Transaction
from orchestra.foundation.errors import FieldError, InvalidInput
from orchestra.foundation.settings import Settings

_TIMING = frozenset({"cron", "timezone", "at"})


async def create(tx: Transaction, actor: Actor, settings: Settings, new: NewSchedule) -> Schedule:
    """Raises BadTiming, InvalidInput for the template, NameTaken or TooManySchedules."""
    timetable.check(new.timing)
    if await repository.lock_person(tx, actor.owner) >= settings.max_schedules_per_user:
        raise TooManySchedules
    now = await repository.now(tx)
    next_at = timetable.next_after(new.timing, now)
    if next_at is None:
        raise _over()
    made = await repository.insert(tx, ScheduleId(ids.new_id()), actor.owner, new, next_at=next_at)
    await _audit(tx, actor, "schedule.created", made)
    return made


async def check_template(
    tx: Transaction, actor: Actor, settings: Settings, template: TaskRequest
) -> None:
    """Raises what a submit of it would raise."""
    new = template.to_new()
    check_task(new, actor.owner, settings)
    if new.agent_id is not None:
        by = await agents.addressed(tx, actor, new.agent_id, new.capability)
        if by != new.capability:  # the agent may learn more until it is due
            raise InvalidInput(f"task.capability: name {by!r}.")


async def visible(
    tx: Transaction, actor: Actor, schedule_id: uuid.UUID, *, for_update: bool = False
) -> Schedule:
    """The actor's own, or any for an administrator; raises ScheduleNotFound."""
    found = await repository.get(tx, schedule_id, for_update=for_update)
    if found is None or not (actor.is_admin or found.user_id == actor.user_id):
        raise ScheduleNotFound
    return found


async def find(
    tx: Transaction, actor: Actor, *, before: uuid.UUID | None, limit: int
) -> list[Schedule]:
    user_id = None if actor.is_admin else actor.owner
    return await repository.find(tx, user_id=user_id, before=before, limit=limit)


async def change(
    tx: Transaction, actor: Actor, schedule_id: uuid.UUID, given: Mapping[str, Any]
) -> Schedule:
    """Changes what is given; `paused` stops or resumes it. Times that passed meanwhile are gone."""
    schedule = await visible(tx, actor, schedule_id, for_update=True)
    changes = {name: value for name, value in given.items() if name not in _TIMING | {"paused"}}
    timing = _new_timing(schedule, given)
    if timing != schedule.timing:
        timetable.check(timing)
        changes |= {"cron": timing.cron, "timezone": timing.timezone, "at": timing.at}
    now = await repository.now(tx)
    paused_at = schedule.paused_at
    if "paused" in given:
        paused_at = (paused_at or now) if given["paused"] else None
        changes |= {"paused_at": paused_at}
    if timing != schedule.timing or paused_at != schedule.paused_at:
        next_at = timetable.next_after(timing, now)
        if next_at is None and timing != schedule.timing:
            raise _over()
        changes |= {"next_at": next_at, "pending": [], "wake_at": None if paused_at else next_at}
    changed = await repository.update(tx, schedule.id, changes) if changes else schedule
    if changed is None:
        raise ScheduleNotFound
    await _audit(tx, actor, "schedule.changed", changed, fields=sorted(given))
    return changed


async def delete(tx: Transaction, actor: Actor, schedule_id: uuid.UUID) -> None:
    """Its tasks stay."""
    schedule = await visible(tx, actor, schedule_id, for_update=True)
    await repository.delete(tx, schedule.id)
    await _audit(tx, actor, "schedule.deleted", schedule)


async def note_run(tx: Transaction, actor: Actor, schedule: Schedule, task_id: uuid.UUID) -> None:
    await _audit(tx, actor, "schedule.run", schedule, task_id=task_id)


def _over() -> BadTiming:
    return BadTiming("at: this time is over", fields=[FieldError("at", "this time is over")])


def _new_timing(schedule: Schedule, given: Mapping[str, Any]) -> Timing:
    """Giving a cron expression takes the single time away, and the other way round."""
    timing = replace(schedule.timing, timezone=given.get("timezone", schedule.timing.timezone))
    if given.get("cron") is not None:
        timing = replace(timing, cron=given["cron"], at=None)
    if given.get("at") is not None:
        cron = given.get("cron")
        timing = replace(timing, at=given["at"], cron=cron)
    return timing


async def _audit(
    tx: Transaction, actor: Actor, action: str, schedule: Schedule, **details: Any
) -> None:
    details = {"name": schedule.name, **details}
    await audit.record(
        tx, actor, action, target_kind="schedule", target_id=schedule.id, details=details
    )

"""What REST carries about schedules."""

import uuid
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from orchestra.features.schedules.types import CatchUp, NewSchedule, Overlap, Schedule, Timing
from orchestra.features.tasks import TaskRequest
from orchestra.foundation.web import Body, View

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Cron = Annotated[str, msgspec.Meta(max_length=200)]
Zone = Annotated[str, msgspec.Meta(max_length=100)]


class ScheduleRequest(Body):
    """When (`cron` in a `timezone`, or once `at`), which task, and what to do in doubt."""

    name: Name
    template: TaskRequest
    cron: Cron | None = None
    timezone: Zone = "UTC"
    at: datetime | None = None
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.ONE

    def to_new(self) -> NewSchedule:
        return NewSchedule(
            name=self.name,
            timing=Timing(cron=self.cron, timezone=self.timezone, at=self.at),
            template=kept(self.template),
            overlap=self.overlap,
            catch_up=self.catch_up,
        )


class SchedulePatch(Body):
    """What is to be changed; `paused` stops it, or lets it go on from its next time."""

    name: Name | UnsetType = UNSET
    template: TaskRequest | UnsetType = UNSET
    cron: Cron | UnsetType = UNSET
    timezone: Zone | UnsetType = UNSET
    at: datetime | UnsetType = UNSET
    overlap: Overlap | UnsetType = UNSET
    catch_up: CatchUp | UnsetType = UNSET
    paused: bool | UnsetType = UNSET

    def given(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        found = {name: value for name, value in values.items() if value is not UNSET}
        if isinstance(self.template, TaskRequest):
            found["template"] = kept(self.template)
        return found


class ScheduleView(View):
    """A schedule. `next_at` is null when no time is left; `skipped` counts times without a task."""

    id: uuid.UUID
    user_id: uuid.UUID
    name: str
    cron: str | None
    timezone: str
    at: datetime | None
    template: Any
    overlap: Overlap
    catch_up: CatchUp
    next_at: datetime | None
    pending: int
    last_at: datetime | None
    last_task_id: uuid.UUID | None
    last_error: str | None
    skipped: int
    paused_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ScheduleDetail(ScheduleView):
    """A schedule with the times that come next."""

    upcoming: list[datetime]


class RunView(View):
    """The task that was made out of turn."""

    task_id: uuid.UUID


def kept(template: TaskRequest) -> Any:
    """The request as JSON, as it is kept."""
    return msgspec.to_builtins(template)


def schedule_fields(schedule: Schedule) -> dict[str, Any]:
    """The fields of ScheduleView."""
    timing = schedule.timing
    return {
        "id": schedule.id,
        "user_id": schedule.user_id,
        "name": schedule.name,
        "cron": timing.cron,
        "timezone": timing.timezone,
        "at": timing.at,
        "template": schedule.template,
        "overlap": schedule.overlap,
        "catch_up": schedule.catch_up,
        "next_at": None if schedule.paused_at else schedule.next_at,
        "pending": len(schedule.pending),
        "last_at": schedule.last_at,
        "last_task_id": schedule.last_task_id,
        "last_error": schedule.last_error,
        "skipped": schedule.skipped,
        "paused_at": schedule.paused_at,
        "created_at": schedule.created_at,
        "updated_at": schedule.updated_at,
    }


def schedule_view(schedule: Schedule) -> ScheduleView:
    return ScheduleView(**schedule_fields(schedule))

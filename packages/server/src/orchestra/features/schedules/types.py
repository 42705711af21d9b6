"""What a schedule is."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

ScheduleId = NewType("ScheduleId", uuid.UUID)


class Overlap(StrEnum):
    """What happens at a time at which the task of the one before is not over yet."""

    SKIP = "skip"  # nothing
    QUEUE = "queue"  # the new one begins when the other has ended
    CANCEL_PREVIOUS = "cancel_previous"  # the other is asked to stop


class CatchUp(StrEnum):
    """What happens after an outage with the times that were missed."""

    NONE = "none"
    ONE = "one"  # one task, for the last of them
    ALL = "all"  # one task for each, within `max_catch_up`


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When: a cron expression in a time zone, or one moment."""

    cron: str | None
    timezone: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """A schedule as somebody wants it; `template` is what REST takes as a task."""

    name: str
    timing: Timing
    template: Any
    overlap: Overlap
    catch_up: CatchUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule as the database has it.

    `pending` are times that have come and whose task waits for the end of the one before.
    """

    id: ScheduleId
    user_id: uuid.UUID
    name: str
    timing: Timing
    template: Any
    overlap: Overlap
    catch_up: CatchUp
    next_at: datetime | None
    pending: tuple[datetime, ...]
    last_at: datetime | None
    last_task_id: uuid.UUID | None
    last_error: str | None
    skipped: int
    paused_at: datetime | None
    created_at: datetime
    updated_at: datetime

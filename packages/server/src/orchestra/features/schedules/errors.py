"""What can be wrong with a schedule."""

from typing import ClassVar

from orchestra.foundation.errors import Conflict, InvalidInput, NotFound


class ScheduleNotFound(NotFound):
    """There is no such schedule, or it is somebody else's."""

    code: ClassVar[str] = "schedule_not_found"


class NameTaken(Conflict):
    """You have a schedule of this name already."""

    code: ClassVar[str] = "schedule_name_taken"


class TooManySchedules(Conflict):
    """You have as many schedules as one person may have."""

    code: ClassVar[str] = "too_many_schedules"


class BadTiming(InvalidInput):
    """This does not say when."""

    code: ClassVar[str] = "bad_timing"

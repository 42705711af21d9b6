"""Tasks that submit themselves: once at a time, or again and again by a cron expression.

A time fires once: the task and the advance to the next time are one transaction. It must not know
what becomes of a task, only whether it is over.
"""

from orchestra.features.schedules.types import CatchUp, Overlap, Schedule, ScheduleId

__all__ = ["CatchUp", "Overlap", "Schedule", "ScheduleId"]

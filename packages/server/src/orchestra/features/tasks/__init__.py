"""Work for agents: submit, dispatch, follow, cancel, and never lose or repeat it.

One table (`types.TRANSITIONS`) says how a task's state may change; every write names the epoch of
the lease under which it is made. This package must not know what a conversation is.
"""

from orchestra.features.tasks.jobs import FinishDelivery, OnTaskFinished
from orchestra.features.tasks.repository.reading import TaskFilter
from orchestra.features.tasks.schemas import TaskRequest
from orchestra.features.tasks.service.cancelling import cancel
from orchestra.features.tasks.service.metrics import SystemMetrics
from orchestra.features.tasks.service.plane import Plane
from orchestra.features.tasks.service.reading import (
    find,
    is_current_run,
    snapshot_source,
    snapshots,
    visible,
)
from orchestra.features.tasks.service.submit import Submitter
from orchestra.features.tasks.service.upkeep import Upkeep
from orchestra.features.tasks.service.validation import prepare
from orchestra.features.tasks.types import (
    NewTask,
    Priority,
    Task,
    TaskId,
    TaskProblem,
    TaskSnapshot,
    TaskState,
)

find_tasks, visible_task, check_task = find, visible, prepare

__all__ = [
    "FinishDelivery",
    "NewTask",
    "OnTaskFinished",
    "Plane",
    "Priority",
    "Submitter",
    "SystemMetrics",
    "Task",
    "TaskFilter",
    "TaskId",
    "TaskProblem",
    "TaskRequest",
    "TaskSnapshot",
    "TaskState",
    "Upkeep",
    "cancel",
    "check_task",
    "find_tasks",
    "is_current_run",
    "snapshot_source",
    "snapshots",
    "visible_task",
]

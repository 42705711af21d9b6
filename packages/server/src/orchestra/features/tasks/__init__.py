"""Work for agents: submit, dispatch, follow, cancel, and never lose or repeat it.

One table (`types.TRANSITIONS`) says how a task's state may change; every write names the epoch of
the lease under which it is made. This package must not know what a conversation is.
"""

from orchestra.features.tasks.jobs import FinishDelivery, OnTaskFinished
from orchestra.features.tasks.repository.reading import TaskFilter
from orchestra.features.tasks.schemas import TaskRequest
from orchestra.features.tasks.service.orchestration.cancelling import cancel
from orchestra.features.tasks.service.orchestration.hosting import (
    Again,
    conclude,
    host,
    host_again,
    is_at_work,
    outcomes,
    start_children,
    wait_for_room,
)
from orchestra.features.tasks.service.reading.metrics import SystemMetrics
from orchestra.features.tasks.service.reading.reading import (
    find,
    is_current_run,
    snapshot_source,
    snapshots,
    visible,
)
from orchestra.features.tasks.service.sizes import too_large_result
from orchestra.features.tasks.service.streams.plane import Plane
from orchestra.features.tasks.service.streams.upkeep import Upkeep
from orchestra.features.tasks.service.submitting.room import Room
from orchestra.features.tasks.service.submitting.submit import Rerun, Submitter
from orchestra.features.tasks.service.submitting.validation import is_capability, prepare
from orchestra.features.tasks.types import (
    NewChild,
    NewTask,
    Priority,
    Step,
    Task,
    TaskId,
    TaskProblem,
    TaskSnapshot,
    TaskState,
)

find_tasks, visible_task, check_task = find, visible, prepare
host_task, conclude_task, outcomes_of_children = host, conclude, outcomes
host_task_again = host_again

__all__ = [
    "Again",
    "FinishDelivery",
    "NewChild",
    "NewTask",
    "OnTaskFinished",
    "Plane",
    "Priority",
    "Rerun",
    "Room",
    "Step",
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
    "conclude_task",
    "find_tasks",
    "host_task",
    "host_task_again",
    "is_at_work",
    "is_capability",
    "is_current_run",
    "outcomes_of_children",
    "snapshot_source",
    "snapshots",
    "start_children",
    "too_large_result",
    "visible_task",
    "wait_for_room",
]

"""What the doors of tasks carry, by what it is about."""

from orchestra.features.tasks.schemas.tasks import (
    BatchItem,
    BatchRequest,
    BatchView,
    CancelRequest,
    ErrorView,
    TaskDetail,
    TaskRequest,
    TaskView,
    addressee,
    attempt_view,
    feed_item_to_wire,
    first_event,
    new_task_from_wire,
    task_detail,
    task_fields,
    task_view,
)

__all__ = [
    "BatchItem",
    "BatchRequest",
    "BatchView",
    "CancelRequest",
    "ErrorView",
    "TaskDetail",
    "TaskRequest",
    "TaskView",
    "addressee",
    "attempt_view",
    "feed_item_to_wire",
    "first_event",
    "new_task_from_wire",
    "task_detail",
    "task_fields",
    "task_view",
]

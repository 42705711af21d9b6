"""What an event is on the wire, and which topics there are: both are the product's contract."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from orchestra.foundation import clock

METRICS_TOPIC = "metrics.system"
AGENTS_TOPIC = "events.agent.>"


def task_topic(task_id: uuid.UUID) -> str:
    """Where windows of one task's events go."""
    return f"events.task.{task_id}"


def user_topic(user_id: uuid.UUID) -> str:
    """Where events go that one person may see: of the person's own tasks and conversations."""
    return f"events.user.{user_id}"


def agent_topic(agent_id: uuid.UUID) -> str:
    """Where events of one agent go; everybody who may read agents sees them."""
    return f"events.agent.{agent_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """One event of a task. `cursor` is `epoch:seq`, or None if it does not move the cursor.

    `data` is anything that becomes JSON; bytes are taken as JSON already.
    """

    cursor: str | None
    type: str
    data: object
    timestamp: datetime | None = None


def event_payload(type: str, data: object) -> bytes:
    """One event `{"type","data","timestamp"}`, as every subject but those of tasks carries it."""
    return msgspec.json.encode({"type": type, "data": _raw(data), "timestamp": clock.now()})


def task_window(task_id: uuid.UUID, events: Sequence[TaskEvent]) -> bytes:
    """A window of events of one task, in order, as `task_topic` carries it."""
    return msgspec.json.encode({"task_id": task_id, "events": [_wire(event) for event in events]})


def _wire(event: TaskEvent) -> Mapping[str, Any]:
    return {
        "cursor": event.cursor,
        "type": event.type,
        "data": _raw(event.data),
        "timestamp": event.timestamp or clock.now(),
    }


def _raw(value: object) -> object:
    return msgspec.Raw(value) if isinstance(value, bytes) else value

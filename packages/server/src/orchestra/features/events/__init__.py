"""Facts that features announce, and the feeds by which people and programs follow them.

A fact goes into the outbox in the transaction that makes it true, then to JetStream, then to every
feed that may see it. This package must not know what a task or a conversation is.
"""

from orchestra.features.events.outbox import Outbox
from orchestra.features.events.types import (
    TaskEvent,
    agent_topic,
    event_payload,
    task_topic,
    task_window,
    user_topic,
)

__all__ = [
    "Outbox",
    "TaskEvent",
    "agent_topic",
    "event_payload",
    "task_topic",
    "task_window",
    "user_topic",
]

"""Facts that features announce, and the feeds by which people and programs follow them.

A fact goes into the outbox in the transaction that makes it true, then to JetStream, then to every
feed that may see it. This package must not know what a task or a conversation is.
"""

from orchestra.features.events.errors import TooManyFeeds
from orchestra.features.events.repository import columns as outbox_columns
from orchestra.features.events.repository import insert_clause as outbox_clause
from orchestra.features.events.service.feed import HANDOVER, FeedResponse
from orchestra.features.events.service.feeds import Feeds
from orchestra.features.events.service.history import History
from orchestra.features.events.service.outbox import Outbox, pack
from orchestra.features.events.types import (
    METRICS_TOPIC,
    FeedItem,
    LiveSnapshot,
    SnapshotSource,
    TaskEvent,
    TopicSnapshot,
    agent_topic,
    event_payload,
    gathered,
    task_topic,
    task_window,
    user_topic,
)

__all__ = [
    "HANDOVER",
    "METRICS_TOPIC",
    "FeedItem",
    "FeedResponse",
    "Feeds",
    "History",
    "LiveSnapshot",
    "Outbox",
    "SnapshotSource",
    "TaskEvent",
    "TooManyFeeds",
    "TopicSnapshot",
    "agent_topic",
    "event_payload",
    "gathered",
    "outbox_clause",
    "outbox_columns",
    "pack",
    "task_topic",
    "task_window",
    "user_topic",
]

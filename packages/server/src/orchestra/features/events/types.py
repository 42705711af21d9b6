"""What an event is on the wire, and which topics there are: both are the product's contract."""

import hashlib
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec

from orchestra.foundation import clock
from orchestra.foundation.auth import Actor
from orchestra.foundation.errors import FieldError, InvalidInput
from orchestra.foundation.messaging import Message

METRICS_TOPIC = "metrics.system"
AGENTS_TOPIC = "events.agent.>"
USERS_TOPIC = "events.user.>"

FINISHED = "task.finished"

# Between events of one type in one message (RFC 7464); no JSON holds it.
SEPARATOR = b"\x1e"
# Some 20 KiB: what a reader is handed at once.
GATHERED = 64

# Where a reader stands: (epoch, sequence) in a task's feed, (life of the stream, sequence) in the
# live feed. Both only ever grow.
Key = tuple[int, int]

_KEY = re.compile(r"(\d{1,30})[:-](\d{1,19})")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSnapshot:
    """What the database knows of a task: enough for one who missed everything up to `cursor`.

    `snapshot` is the data of `task.snapshot`; `finished`, once it is over, that of `task.finished`.
    """

    cursor: str
    snapshot: object
    finished: object | None = None

    @property
    def key(self) -> Key:
        return parse_key(self.cursor)


class SnapshotSource(Protocol):
    """How the feeds ask the tasks feature, which stands above them, what the database knows."""

    async def __call__(self, task_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, TopicSnapshot]:
        """Snapshots of the tasks that exist."""
        ...


# What the live feed shows after a gap: `{"agents": […], "tasks": […]}` as this caller may see them.
LiveSnapshot = Callable[[Actor], Awaitable[object]]


class FeedItem(msgspec.Struct, gc=False):
    """One event as a reader gets it. `key` is None where it does not move the reader's cursor.

    `owner` is the only person who may see it in a topic that many read, empty if all of them may;
    `data` is JSON.
    """

    key: Key | None
    type: str
    data: bytes
    owner: str = ""
    separator: str = ":"

    @property
    def cursor(self) -> str | None:
        return f"{self.key[0]}{self.separator}{self.key[1]}" if self.key else None


class _Typed(msgspec.Struct, gc=False):
    type: str


_typed = msgspec.json.Decoder(_Typed)


def type_of(payload: bytes) -> str:
    """Of the event, or of all the events, in a message; raises msgspec.MsgspecError."""
    return _typed.decode(payload.partition(SEPARATOR)[0]).type


def parse_key(cursor: str) -> Key:
    """Reads `epoch:seq` or `life-seq`; raises InvalidInput otherwise."""
    match = _KEY.fullmatch(cursor.strip())
    if match is None:
        raise InvalidInput(
            "The cursor is not one of ours.", fields=[FieldError("cursor", "not valid")]
        )
    return int(match[1]), int(match[2])


def event_payload(type: str, data: object) -> bytes:
    """One event `{"type","data","timestamp"}`, as every subject but those of tasks carries it.

    A message has several of one type where they were `gathered`.
    """
    return msgspec.json.encode({"type": type, "data": _raw(data), "timestamp": clock.now()})


def gathered(messages: Sequence[Message]) -> list[Message]:
    """The same with fewer messages: events of one subject and type, in order, as one.

    What one costs JetStream and every reader is paid once for all of them.
    """
    open_ones: dict[tuple[str, str], list[Message]] = {}
    groups: list[list[Message]] = []
    for message in messages:
        kind = type_of(message.payload)
        group = open_ones.get((message.subject, kind))
        if group is None or len(group) == GATHERED:
            group = open_ones[message.subject, kind] = []
            groups.append(group)
        group.append(message)
    return [_as_one(group) for group in groups]


def _as_one(group: Sequence[Message]) -> Message:
    if len(group) == 1:
        return group[0]
    payload = SEPARATOR.join(message.payload for message in group)
    # The same events together are the same message, and any others are not.
    names = hashlib.sha256("\n".join(message.message_id or "" for message in group).encode())
    return Message(group[0].subject, payload, names.hexdigest()[:32])


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

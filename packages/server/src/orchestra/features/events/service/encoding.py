"""From messages of NATS to feed items, and from feed items to the bytes of server-sent events."""

from collections.abc import Sequence

import msgspec

from orchestra.features.events.types import (
    SEPARATOR,
    FeedItem,
    Key,
    TopicSnapshot,
    parse_key,
    type_of,
)
from orchestra.foundation.errors import InvalidInput

USER_SUBJECTS = "events.user."
AGENT_SUBJECTS = "events.agent."
HEARTBEAT = b": hb\n\n"


class _Event(msgspec.Struct, gc=False):
    type: str
    cursor: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Window(msgspec.Struct):
    events: list[_Event]


class _Agent(msgspec.Struct, gc=False):
    owner_id: str
    shared: bool = True


class _OfAgent(msgspec.Struct, gc=False):
    agent: _Agent


class _AgentEvent(msgspec.Struct, gc=False):
    data: _OfAgent


_window = msgspec.json.Decoder(_Window)
_agent_event = msgspec.json.Decoder(_AgentEvent)


def task_items(payload: bytes) -> list[FeedItem]:
    """The events of one window; empty if it is none (nothing on the bus may stop a feed)."""
    try:
        return [
            FeedItem(
                parse_key(event.cursor) if event.cursor else None, event.type, bytes(event.data)
            )
            for event in _window.decode(payload).events
        ]
    except (msgspec.MsgspecError, InvalidInput):
        return []


def live_item(payload: bytes, *, key: Key | None, subject: str) -> FeedItem | None:
    """One event of the live feed, or None if the message is none."""
    try:
        kind = type_of(payload)
    except msgspec.MsgspecError:
        return None
    return FeedItem(key, kind, payload, _owner(subject, payload), "-")


def _owner(subject: str, payload: bytes) -> str:
    """Who alone may see an event: the user of the subject, or the owner of a private agent."""
    if subject.startswith(USER_SUBJECTS):
        return subject[len(USER_SUBJECTS) :]
    if not subject.startswith(AGENT_SUBJECTS):
        return ""
    try:
        agent = _agent_event.decode(payload).data.agent
    except msgspec.MsgspecError:
        return ""
    return "" if agent.shared else agent.owner_id


def gap_items(since: Key | None, snapshot: TopicSnapshot) -> list[FeedItem]:
    """What stands for everything up to the snapshot; for a task that is over, its end too."""
    gap = {"from": f"{since[0]}:{since[1]}" if since else None, "to": snapshot.cursor}
    key = snapshot.key
    items = [
        FeedItem(None, "gap", msgspec.json.encode(gap)),
        FeedItem(
            key if snapshot.finished is None else None,
            "task.snapshot",
            msgspec.json.encode(snapshot.snapshot),
        ),
    ]
    return items if snapshot.finished is None else [*items, finished_item(snapshot)]


def finished_item(snapshot: TopicSnapshot) -> FeedItem:
    return FeedItem(snapshot.key, "task.finished", msgspec.json.encode(snapshot.finished))


def sse(item: FeedItem) -> bytes:
    """One server-sent event. In the live feed it is a plain `message`, whose JSON says its type.

    What was gathered into one item is as many events again; the cursor stands with the last.
    """
    if SEPARATOR in item.data:
        *former, last = item.data.split(SEPARATOR)
        parts = [FeedItem(None, item.type, data, item.owner, item.separator) for data in former]
        return sse_all([*parts, FeedItem(item.key, item.type, last, item.owner, item.separator)])
    data = item.data if b"\n" not in item.data else item.data.replace(b"\n", b" ")
    cursor = item.cursor
    head = f"id: {cursor}\n" if cursor else ""
    if item.separator == ":":
        head += f"event: {item.type}\n"
    return b"%bdata: %b\n\n" % (head.encode(), data)


def sse_all(items: Sequence[FeedItem]) -> bytes:
    return b"".join([sse(item) for item in items])


def notice(kind: str, data: object, *, cursor: str | None = None) -> bytes:
    """A server-sent event about the feed itself, such as `ready` or `closing`."""
    head = f"id: {cursor}\nevent: {kind}\n" if cursor else f"event: {kind}\n"
    return b"%bdata: %b\n\n" % (head.encode(), msgspec.json.encode(data))

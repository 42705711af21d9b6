"""The feeds of one process: topics that have readers, and the feeds that are open."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import structlog
from nats.aio.msg import Msg
from prometheus_client import Gauge

from orchestra.features.events.errors import TooManyFeeds
from orchestra.features.events.service.feed import Feed, FeedResponse, Receive
from orchestra.features.events.service.history import History
from orchestra.features.events.service.live import LiveReader, LiveTopic
from orchestra.features.events.service.readers import Reader, TaskReader
from orchestra.features.events.service.ring import Ring
from orchestra.features.events.service.stream_topic import CurrentTopic, StreamTopic
from orchestra.features.events.service.subscriptions import (
    ANNOUNCE,
    read_announcement,
)
from orchestra.features.events.service.sweep import Sweep
from orchestra.features.events.service.task_topic import TaskTopic
from orchestra.features.events.service.topic import Topic
from orchestra.features.events.types import (
    AGENTS_TOPIC,
    METRICS_TOPIC,
    USERS_TOPIC,
    FeedItem,
    LiveSnapshot,
    SnapshotSource,
    parse_key,
    user_topic,
)
from orchestra.foundation import clock, ids
from orchestra.foundation.auth import Actor, Authenticator, Credential, Permission
from orchestra.foundation.concurrency import Guard, forever
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

RING_BYTES = 1024**2
OPEN_FEEDS = Gauge("ai_orchestra_feeds_open", "Feeds that callers hold open at this process")
# Tasks asked for together; each may be some mebibytes with its result.
SNAPSHOT_CHUNK = 20


class Feeds:
    """Opens feeds, shares their topics, and keeps both bounded. One for each process.

    `task_snapshots` and `live_snapshot` are set by whoever wires the process, since the features
    that can answer stand above this one.
    """

    def __init__(
        self,
        bus: Bus,
        settings: Settings,
        *,
        authenticator: Authenticator | None = None,
        task_snapshots: SnapshotSource | None = None,
        live_snapshot: LiveSnapshot | None = None,
    ) -> None:
        self.task_snapshots = task_snapshots
        self.live_snapshot = live_snapshot
        self._bus = bus
        self._settings = settings
        self._history = History(bus)
        self._guard = Guard()
        self._topics: dict[str, Topic] = {}
        self._open: set[Feed] = set()
        self._counts: Counter[str] = Counter()
        self._sweep = Sweep(
            lambda: self._open,
            heartbeat_seconds=settings.feed_heartbeat_seconds,
            authenticator=authenticator,
        )
        self._closing: str | None = None

    async def start(self, *, revoked_subject: str | None = None) -> None:
        """Begins to sweep, and to hear of ended logins and new subscriptions."""
        self._bus.on_reconnect(self._reconnected)
        self._guard.spawn("feeds-sweep", self._sweep.run())
        self._guard.spawn("feeds-reconcile", forever("feeds-reconcile", self._reconcile_quiet))
        await self._bus.listen(ANNOUNCE, self._subscribed)
        if revoked_subject is not None:
            await self._bus.listen(revoked_subject, self._revoked)

    async def close(self, reason: str = "restart", *, patience_seconds: float = 2.0) -> None:
        """Tells every feed why it ends, and waits for them for a moment."""
        self._closing = reason
        for feed in list(self._open):
            feed.reader.close(reason)
        limit = clock.monotonic() + patience_seconds
        while running := [feed.task for feed in self._open if feed.task is not None]:
            if clock.monotonic() > limit:
                break
            await asyncio.wait(running, timeout=0.1)
        for feed in list(self._open):
            feed.drop()
        await self._guard.stop()
        for topic in list(self._topics.values()):
            await topic.close()
        await self._history.close()

    @property
    def count(self) -> int:
        return len(self._open)

    def task_feed(
        self,
        actor: Actor,
        credential: Credential,
        task_id: uuid.UUID,
        *,
        cursor: str | None,
        is_over: bool = False,
        permission: Permission = Permission.TASKS_READ,
    ) -> FeedResponse:
        """A feed of one task, which the caller was found to be allowed to read.

        `is_over` says that the database has the task's end. Raises InvalidInput for a bad cursor,
        TooManyFeeds when the caller has enough.
        """
        key = parse_key(cursor) if cursor else None
        self._admit(actor)
        reader = self._task_reader(task_id, cursor=key, is_over=is_over)
        return self._response(reader, actor, credential, permission)

    def live_feed(
        self, actor: Actor, credential: Credential, *, cursor: str | None, patterns: frozenset[str]
    ) -> FeedResponse:
        """The caller's live feed; raises as `task_feed` does."""
        self._admit(actor)
        reader = self.live_reader(actor, cursor=cursor, patterns=patterns)
        return self._response(reader, actor, credential, Permission.EVENTS_READ)

    def live_reader(
        self, actor: Actor, *, cursor: str | None, patterns: frozenset[str]
    ) -> LiveReader:
        """What a live feed reads from; raises InvalidInput for a bad cursor."""
        reader = LiveReader(
            [self._live_topic(subject) for subject in _live_subjects(actor)],
            parse_key(cursor) if cursor else None,
            feed_id=ids.short_id(),
            actor=actor,
            patterns=patterns,
            snapshot=self.live_snapshot,
        )
        for topic in reader.topics:
            topic.readers.add(reader)
        return reader

    async def follow_task(
        self, task_id: uuid.UUID, *, cursor: str | None = None, is_over: bool = False
    ) -> AsyncIterator[FeedItem]:
        """The events of a task for use inside the process, to its end; `gap` items included."""
        key = parse_key(cursor) if cursor else None
        reader = self._task_reader(task_id, cursor=key, is_over=is_over)
        try:
            while (chunk := await reader.next()) is not None:
                for item in chunk.items:
                    yield item
        finally:
            self._leave(reader)

    # What the feeds and the sweep call back.

    def opened(self, feed: Feed) -> None:
        self._open.add(feed)
        OPEN_FEEDS.inc()
        self._counts[feed.caller] += 1
        if self._closing is not None:
            feed.reader.close(self._closing)

    def ended(self, feed: Feed) -> None:
        if feed not in self._open:
            return
        self._open.discard(feed)
        OPEN_FEEDS.dec()
        self._counts[feed.caller] -= 1
        if self._counts[feed.caller] <= 0:
            del self._counts[feed.caller]
        if feed.watching is not None:
            feed.watching.cancel()
            feed.watching = None
        self._leave(feed.reader)

    def watch(self, feed: Feed, receive: Receive) -> None:
        """Closes the feed when its caller leaves."""
        pending: Any = receive()
        if hasattr(pending, "add_done_callback"):  # the server's own future needs no task
            feed.watching = pending
            pending.add_done_callback(partial(self._heard, feed, receive))
        else:
            feed.watching = self._guard.spawn("feed-watch", _until_left(feed, receive, pending))

    def _heard(self, feed: Feed, receive: Receive, done: Any) -> None:
        if feed.watching is not done or done.cancelled():
            return
        if done.result().get("type") == "http.request":
            self.watch(feed, receive)
        else:
            feed.reader.close("")

    # Topics.

    def _task_reader(self, task_id: uuid.UUID, *, cursor: Any, is_over: bool) -> TaskReader:
        subject = f"task:{task_id}"
        topic = self._topics.get(subject)
        if not isinstance(topic, TaskTopic):
            topic = TaskTopic(task_id, source=self._ask_tasks, **self._parts())
            self._topics[subject] = topic
        reader = TaskReader(topic, cursor, is_over=is_over)
        topic.readers.add(reader)
        return reader

    async def _ask_tasks(self, task_ids: Sequence[uuid.UUID]) -> Any:
        return await self.task_snapshots(task_ids) if self.task_snapshots else {}

    def _live_topic(self, subject: str) -> LiveTopic:
        topic = self._topics.get(subject)
        if not isinstance(topic, StreamTopic | CurrentTopic):
            kind = CurrentTopic if subject == METRICS_TOPIC else StreamTopic
            topic = self._topics[subject] = kind(subject, **self._parts())
        return topic

    def _parts(self) -> dict[str, Any]:
        ring = Ring(max_items=self._settings.feed_buffer_events, max_bytes=RING_BYTES)
        return {"bus": self._bus, "history": self._history, "guard": self._guard, "ring": ring}

    def _leave(self, reader: Reader) -> None:
        topics = reader.topics if isinstance(reader, LiveReader) else ()
        if isinstance(reader, TaskReader):
            topics = (reader.topic,)
        for topic in topics:
            topic.readers.discard(reader)
            if not topic.readers:
                self._close_topic(topic)

    def _close_topic(self, topic: Topic) -> None:
        name = f"task:{topic.task_id}" if isinstance(topic, TaskTopic) else topic.subject
        if self._topics.get(name) is topic:
            del self._topics[name]
        self._guard.spawn(f"close {topic.subject}", topic.close())

    # Opening.

    def _admit(self, actor: Actor) -> None:
        if self._counts[_caller(actor)] >= self._settings.feed_max_per_caller:
            raise TooManyFeeds(retry_after=5)

    def _response(
        self, reader: Reader, actor: Actor, credential: Credential, permission: Permission
    ) -> FeedResponse:
        feed = Feed(
            reader,
            owner=self,
            caller=_caller(actor),
            credential=credential,
            permission=permission,
            role=actor.role,
        )
        return FeedResponse(feed)

    # What happens outside.

    async def _revoked(self, message: Msg) -> None:
        caller = message.data.decode(errors="replace")
        feeds = [feed for feed in self._open if feed.caller == caller]
        if feeds:
            self._guard.spawn("feeds-revoked", self._sweep.revoked(feeds))

    async def _subscribed(self, message: Msg) -> None:
        announcement = read_announcement(message.data)
        if announcement is None:
            return
        for feed in self._open:
            if isinstance(feed.reader, LiveReader) and announcement.concerns(
                feed.caller, feed.reader.feed_id
            ):
                feed.reader.patterns = feed.reader.patterns | announcement.event_types

    async def _reconnected(self) -> None:
        for topic in list(self._topics.values()):
            topic.resync()
        await self._reconcile(list(self._topics.values()))

    async def _reconcile_quiet(self) -> float:
        """Asks the database about tasks that have been silent: the net under every other way."""
        limit = clock.monotonic() - self._settings.feed_heartbeat_seconds
        await self._reconcile(
            [topic for topic in self._topics.values() if topic.quiet_since < limit]
        )
        return self._settings.feed_heartbeat_seconds

    async def _reconcile(self, topics: list[Topic]) -> None:
        tasks = [topic for topic in topics if isinstance(topic, TaskTopic)]
        for start in range(0, len(tasks), SNAPSHOT_CHUNK):
            chunk = tasks[start : start + SNAPSHOT_CHUNK]
            try:
                found = await self._ask_tasks([topic.task_id for topic in chunk])
            except OrchestraError as error:
                log.warning("feeds could not be compared with the database", error=error.message)
                return
            for topic in chunk:
                if topic.task_id in found and topic.readers:
                    await topic.reconcile(found[topic.task_id])


def _caller(actor: Actor) -> str:
    return str(actor.user_id or actor.id)


def _live_subjects(actor: Actor) -> list[str]:
    own = USERS_TOPIC if actor.is_admin else user_topic(actor.owner)
    subjects = [own]
    if actor.may(Permission.AGENTS_READ):
        subjects.append(AGENTS_TOPIC)
    return [*subjects, METRICS_TOPIC]


async def _until_left(feed: Feed, receive: Receive, pending: Any) -> None:
    message = await pending
    while message["type"] == "http.request":
        message = await receive()
    feed.reader.close("")

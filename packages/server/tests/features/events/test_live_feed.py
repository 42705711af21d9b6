"""The live feed: own events only, resumed without loss, and an honest gap where that cannot be."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from orchestra.features.events import Feeds, agent_topic, event_payload, user_topic
from orchestra.features.events.service.live import LiveReader, wants
from orchestra.features.events.service.readers import Chunk
from orchestra.foundation import ids
from orchestra.foundation.auth import ROLE_PERMISSIONS, Actor, ActorKind, Role
from orchestra.foundation.messaging import Bus, Message
from orchestra.foundation.settings import Settings

pytestmark = pytest.mark.anyio

DEFAULT = frozenset({"task.status", "task.finished", "conversation.updated"})


def someone(role: Role = Role.MEMBER) -> Actor:
    return Actor(
        kind=ActorKind.USER,
        id="login",
        name="someone",
        user_id=ids.new_id(),
        role=role,
        permissions=ROLE_PERMISSIONS[role],
    )


class Reader:
    """Reads a live feed and understands its bytes."""

    def __init__(self, feeds: Feeds, reader: LiveReader) -> None:
        self._feeds = feeds
        self._reader = reader
        self.cursor: str | None = None
        self._waiting: list[dict[str, Any]] = []

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while not self._waiting:
                chunk: Chunk | None = await self._reader.next()
                assert chunk is not None
                self._waiting.extend(map(_parse, chunk.sse.decode().strip().split("\n\n")))
        event = self._waiting.pop(0)
        self.cursor = event.get("id", self.cursor)
        return event

    async def types(self, count: int) -> list[str]:
        return [_type(await self.next()) for _ in range(count)]

    def leave(self) -> None:
        self._feeds._leave(self._reader)  # pyright: ignore[reportPrivateUsage]


def _parse(block: str) -> dict[str, Any]:
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    return {**fields, "data": msgspec.json.decode(fields["data"])}


def _type(event: dict[str, Any]) -> str:
    return event.get("event") or event["data"]["type"]


@pytest.fixture
async def feeds(bus: Bus) -> AsyncIterator[Feeds]:
    async def snapshot(actor: Actor) -> object:
        return {"agents": [], "tasks": [{"of": str(actor.user_id)}]}

    feeds = Feeds(bus, Settings(feed_buffer_events=16), live_snapshot=snapshot)
    await feeds.start()
    yield feeds
    await feeds.close()


def open_feed(
    feeds: Feeds, actor: Actor, cursor: str | None = None, patterns: frozenset[str] = DEFAULT
) -> Reader:
    reader = feeds.live_reader(actor, cursor=cursor, patterns=patterns)
    return Reader(feeds, reader)


async def publish(bus: Bus, owner: uuid.UUID, kind: str = "task.status", **data: Any) -> None:
    await bus.publish(Message(user_topic(owner), event_payload(kind, data)))


async def test_a_caller_sees_own_events_of_the_default_types_only(bus: Bus, feeds: Feeds) -> None:
    me, other = someone(), someone()
    reader = open_feed(feeds, me)
    assert _type(await reader.next()) == "ready"
    await publish(bus, other.owner, number=0)
    await publish(bus, me.owner, kind="task.progress", number=1)
    await publish(bus, me.owner, number=2)

    event = await reader.next()
    assert (event["data"]["type"], event["data"]["data"]) == ("task.status", {"number": 2})
    assert event["data"]["timestamp"]


async def test_an_administrator_sees_everybodys_tasks_but_not_their_conversations(
    bus: Bus, feeds: Feeds
) -> None:
    admin, other = someone(Role.ADMIN), someone()
    reader = open_feed(feeds, admin)
    await reader.next()
    await publish(bus, other.owner, kind="conversation.updated")
    await publish(bus, other.owner)
    await publish(bus, admin.owner, kind="conversation.updated")

    assert await reader.types(2) == ["task.status", "conversation.updated"]


async def test_a_subscription_adds_a_type_to_an_open_feed(bus: Bus, feeds: Feeds) -> None:
    me = someone()
    reader = open_feed(feeds, me, patterns=DEFAULT | {"agent.*"})
    await reader.next()
    payload = event_payload("agent.status.changed", {"agent": {}})
    await bus.publish(Message(agent_topic(ids.new_id()), payload))
    assert await reader.types(1) == ["agent.status.changed"]


@pytest.mark.parametrize("seen", [0, 3, 9])
async def test_a_feed_resumes_where_it_was_left_without_loss_or_repetition(
    bus: Bus, feeds: Feeds, seen: int
) -> None:
    me = someone()
    reader = open_feed(feeds, me)
    await reader.next()
    for number in range(seen):
        await publish(bus, me.owner, number=number)
        await reader.next()
    reader.leave()
    for number in range(seen, 10):
        await publish(bus, me.owner, number=number)

    again = open_feed(feeds, me, reader.cursor)
    assert _type(await again.next()) == "ready"
    numbers = [(await again.next())["data"]["data"]["number"] for _ in range(seen, 10)]
    assert numbers == list(range(seen, 10))


async def test_more_than_can_be_kept_is_a_gap_and_a_snapshot(bus: Bus, feeds: Feeds) -> None:
    me = someone()
    reader = open_feed(feeds, me)
    await reader.next()
    reader.leave()
    for number in range(40):
        await publish(bus, me.owner, number=number)

    again = open_feed(feeds, me, reader.cursor)
    assert _type(await again.next()) == "ready"
    gap, snapshot = await again.next(), await again.next()
    assert (gap["event"], gap["data"]["from"]) == ("gap", reader.cursor)
    assert snapshot["data"]["tasks"] == [{"of": str(me.user_id)}]
    await publish(bus, me.owner, number=40)
    assert (await again.next())["data"]["data"] == {"number": 40}


async def test_a_cursor_of_another_life_of_the_stream_is_a_gap(feeds: Feeds) -> None:
    reader = open_feed(feeds, someone(), "20200101000000000-17")
    assert await reader.types(3) == ["ready", "gap", "snapshot"]


async def test_metrics_reach_who_has_subscribed_and_move_no_cursor(bus: Bus, feeds: Feeds) -> None:
    reader = open_feed(feeds, someone(), patterns=DEFAULT | {"system.metrics"})
    await reader.next()
    await bus.publish(Message("metrics.system", event_payload("system.metrics", {"x": 1})))
    event = await reader.next()
    assert event["data"]["data"] == {"x": 1}
    assert "id" not in event


def test_prefixes_name_many_types() -> None:
    assert wants(frozenset({"agent.*"}), "agent.status.changed")
    assert not wants(frozenset({"agent.*"}), "task.status")
    assert not wants(frozenset({"agent.status"}), "agent.status.changed")

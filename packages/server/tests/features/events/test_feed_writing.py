"""How a feed is written to its caller: heartbeats, and an end for who takes nothing or has left."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
from orchestra.features.events import Feeds
from orchestra.features.events.service.feed import HANDOVER, Feed, FeedResponse
from orchestra.features.events.service.readers import TaskReader
from orchestra.features.events.service.sweep import STUCK_SECONDS, Sweep
from orchestra.foundation import ids
from orchestra.foundation.auth import SYSTEM, Credential
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

pytestmark = pytest.mark.anyio


class Caller:
    """The other side of a connection: takes what is written, or does not, and may leave."""

    def __init__(self, *, takes: bool = True) -> None:
        self.got = b""
        self.news = asyncio.Event()
        self.gone: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self._takes = takes

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            self.got += message["body"]
            self.news.set()
            if not self._takes:
                await asyncio.get_running_loop().create_future()

    def receive(self) -> Awaitable[Any]:
        return self.gone

    def leave(self) -> None:
        self.gone.set_result({"type": "http.disconnect"})


@pytest.fixture
async def feeds(bus: Bus) -> AsyncIterator[Feeds]:
    feeds = Feeds(bus, Settings())
    await feeds.start()
    yield feeds
    await feeds.close(patience_seconds=0.1)


@pytest.fixture
async def guard() -> AsyncIterator[Guard]:
    async with Guard() as guard:
        yield guard


async def open_feed(feeds: Feeds, caller: Caller) -> Feed:
    response: FeedResponse = feeds.task_feed(SYSTEM, Credential(), ids.new_id(), cursor=None)
    handed_over: list[Feed] = []
    await response({HANDOVER: handed_over}, caller.receive, caller.send)
    assert feeds.count == 1
    return handed_over[0]


async def test_an_idle_feed_beats_and_a_busy_one_need_not(feeds: Feeds, guard: Guard) -> None:
    caller = Caller()
    feed = await open_feed(feeds, caller)
    guard.spawn("feed", feed.run(caller.receive, caller.send))
    feed.reader.beat()
    await asyncio.wait_for(caller.news.wait(), timeout=5)
    assert caller.got == b": hb\n\n"


async def test_a_feed_ends_when_its_caller_leaves(feeds: Feeds, guard: Guard) -> None:
    caller = Caller()
    feed = await open_feed(feeds, caller)
    running = guard.spawn("feed", feed.run(caller.receive, caller.send))
    await asyncio.sleep(0)
    caller.leave()
    await asyncio.wait_for(running, timeout=5)
    assert (feeds.count, caller.got) == (0, b"")


async def test_who_takes_nothing_for_half_a_minute_is_dropped(feeds: Feeds, guard: Guard) -> None:
    caller = Caller(takes=False)
    feed = await open_feed(feeds, caller)
    running = guard.spawn("feed", feed.run(caller.receive, caller.send))
    sweep = Sweep(lambda: [feed], heartbeat_seconds=15, authenticator=None)
    feed.reader.beat()
    await asyncio.wait_for(caller.news.wait(), timeout=5)
    for _ in range(STUCK_SECONDS):
        sweep.look()
    assert not running.done()
    sweep.look()
    await asyncio.wait_for(running, timeout=5)
    assert feeds.count == 0


async def test_a_closing_process_says_so_and_waits_a_moment(bus: Bus, guard: Guard) -> None:
    feeds, caller = Feeds(bus, Settings()), Caller()
    await feeds.start()
    feed = await open_feed(feeds, caller)
    running = guard.spawn("feed", feed.run(caller.receive, caller.send))
    await asyncio.sleep(0)
    await feeds.close("restart")
    assert running.done()
    assert caller.got == b'event: closing\ndata: {"reason":"restart"}\n\n'


class Deaf(Caller):
    """Loses one cancellation, as `asyncio.wait_for` of Python 3.11 does now and then."""

    async def send(self, message: Any) -> None:
        try:
            await super().send(message)
        except asyncio.CancelledError:
            self._takes = True


async def test_a_drop_whose_cancellation_is_lost_in_writing_ends_the_feed(
    feeds: Feeds, guard: Guard
) -> None:
    caller = Deaf(takes=False)
    feed = await open_feed(feeds, caller)
    running = guard.spawn("feed", feed.run(caller.receive, caller.send))
    feed.reader.beat()
    await asyncio.wait_for(caller.news.wait(), timeout=5)
    feed.drop()
    await asyncio.wait_for(running, timeout=5)
    assert feeds.count == 0


async def test_a_drop_whose_cancellation_is_lost_in_reading_comes_again_with_the_sweep(
    feeds: Feeds, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = Caller()
    feed = await open_feed(feeds, caller)
    lost = asyncio.Event()
    read = TaskReader.next

    async def lose_one(reader: TaskReader) -> Any:
        try:
            return await read(reader)
        except asyncio.CancelledError:
            if lost.is_set():
                raise
            lost.set()
        return await read(reader)

    monkeypatch.setattr(TaskReader, "next", lose_one)
    running = guard.spawn("feed", feed.run(caller.receive, caller.send))
    sweep = Sweep(lambda: [feed], heartbeat_seconds=15, authenticator=None)
    await asyncio.sleep(0)
    feed.drop()
    await asyncio.wait_for(lost.wait(), timeout=5)
    assert not running.done()
    sweep.look()
    await asyncio.wait_for(running, timeout=5)
    assert feeds.count == 0

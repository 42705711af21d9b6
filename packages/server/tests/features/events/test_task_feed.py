"""The feed of one task: complete from any cursor, whenever a reader comes and whatever is lost."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from orchestra.engines.testing import RunningNats, start_nats, wait_until
from orchestra.features.events import (
    FeedItem,
    Feeds,
    TaskEvent,
    TopicSnapshot,
    task_topic,
    task_window,
)
from orchestra.foundation import ids
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.messaging import Bus, Message
from orchestra.foundation.settings import Settings

pytestmark = pytest.mark.anyio


class Database:
    """Stands for the tasks table: what it knows of each task."""

    def __init__(self) -> None:
        self.known: dict[uuid.UUID, TopicSnapshot] = {}
        self.asked = 0

    async def snapshots(self, task_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, TopicSnapshot]:
        self.asked += 1
        return {task_id: self.known[task_id] for task_id in task_ids if task_id in self.known}


class Run:
    """A task that runs: publishes its events in windows."""

    def __init__(self, bus: Bus) -> None:
        self.task_id = ids.new_id()
        self._bus = bus

    async def publish(self, *cursors: str, kind: str = "task.token") -> None:
        await self._bus.publish(self._window(cursors, kind))

    async def finish(self, cursor: str) -> None:
        await self.publish(cursor, kind="task.finished")

    def _window(self, cursors: Sequence[str], kind: str) -> Message:
        events = [TaskEvent(cursor=at, type=kind, data={"text": at}) for at in cursors]
        name = f"{self.task_id}:{cursors[0]}:{cursors[-1]}"
        return Message(task_topic(self.task_id), task_window(self.task_id, events), name)


def snapshot(cursor: str, *, is_finished: bool = False) -> TopicSnapshot:
    return TopicSnapshot(
        cursor=cursor,
        snapshot={"cursor": cursor, "text": "so far"},
        finished={"state": "succeeded"} if is_finished else None,
    )


@pytest.fixture
def tasks() -> Database:
    return Database()


@pytest.fixture
async def feeds(bus: Bus, tasks: Database) -> AsyncIterator[Feeds]:
    feeds = Feeds(bus, Settings(feed_buffer_events=32), task_snapshots=tasks.snapshots)
    await feeds.start()
    yield feeds
    await feeds.close()


@pytest.fixture
async def guard() -> AsyncIterator[Guard]:
    async with Guard() as guard:
        yield guard


async def test_a_reader_that_came_before_the_run_gets_everything_and_the_end(
    bus: Bus, feeds: Feeds, guard: Guard
) -> None:
    run = Run(bus)
    reading = guard.spawn("reader", _read(feeds, run))
    await run.publish("1:0", kind="task.status")
    await run.publish("1:1", "1:2", "1:3")
    await run.finish("1:4")

    assert await reading == ["1:0", "1:1", "1:2", "1:3", "1:4"]


async def test_a_reader_that_comes_during_and_one_after_the_run_get_the_same(
    bus: Bus, feeds: Feeds, guard: Guard
) -> None:
    run = Run(bus)
    await run.publish("1:0")
    await run.publish("1:1", "1:2")
    during = guard.spawn("reader", _read(feeds, run))
    await run.publish("1:3")
    await run.finish("1:4")

    assert await during == await _read(feeds, run) == ["1:0", "1:1", "1:2", "1:3", "1:4"]


@pytest.mark.parametrize("length", [20, 90])
async def test_from_any_cursor_a_reader_gets_what_follows_and_nothing_twice(
    bus: Bus, feeds: Feeds, length: int
) -> None:
    """With 90 events the run is longer than the ring of 32, so that most come from the stream."""
    run = Run(bus)
    cursors = ["1:0", "2:0", *(f"2:{number}" for number in range(1, length))]
    for start in range(0, len(cursors), 7):
        await run.publish(*cursors[start : start + 7])
    await run.finish(f"2:{length}")
    everything = [*cursors, f"2:{length}"]

    for place in range(0, len(everything), 5):
        assert await _read(feeds, run, everything[place]) == everything[place + 1 :]


async def test_a_new_attempt_goes_on_and_late_events_of_the_old_one_are_dropped(
    bus: Bus, feeds: Feeds, guard: Guard
) -> None:
    run = Run(bus)
    reading = guard.spawn("reader", _read(feeds, run))
    await run.publish("1:0")
    await run.publish("2:0", "2:1")
    await run.publish("3:0", "4:0", "4:1")
    await run.publish("2:2", "2:3")
    await run.finish("4:2")

    assert await reading == ["1:0", "2:0", "2:1", "3:0", "4:0", "4:1", "4:2"]


async def test_what_is_lost_in_the_middle_is_replaced_by_a_gap_and_a_snapshot(
    bus: Bus, feeds: Feeds, guard: Guard, tasks: Database
) -> None:
    run = Run(bus)
    tasks.known[run.task_id] = snapshot("1:6")
    reading = guard.spawn("reader", _read(feeds, run))
    await run.publish("1:0", "1:1", "1:2")
    await run.publish("1:7", "1:8")
    await run.finish("1:9")

    assert await reading == ["1:0", "1:1", "1:2", "gap", "1:6", "1:7", "1:8", "1:9"]


async def test_a_finished_task_of_which_the_stream_has_nothing_is_told_from_the_database(
    bus: Bus, feeds: Feeds, tasks: Database
) -> None:
    run = Run(bus)
    tasks.known[run.task_id] = snapshot("3:14", is_finished=True)

    items = [item async for item in feeds.follow_task(run.task_id, is_over=True)]
    assert [item.type for item in items] == ["gap", "task.snapshot", "task.finished"]
    assert items[-1].cursor == "3:14"


async def test_an_end_that_only_the_database_knows_still_ends_the_feed(
    bus: Bus, feeds: Feeds, tasks: Database
) -> None:
    run = Run(bus)
    await run.publish("1:0", "1:1")
    tasks.known[run.task_id] = snapshot("1:2", is_finished=True)

    items = [item async for item in feeds.follow_task(run.task_id, is_over=True)]
    assert [item.cursor for item in items] == ["1:0", "1:1", "1:2"]


async def test_a_resume_at_the_end_ends_at_once(bus: Bus, feeds: Feeds) -> None:
    run = Run(bus)
    await run.publish("1:0", "1:1")
    await run.finish("1:2")

    assert await _read(feeds, run, "1:2") == []


async def test_many_readers_share_one_subscription_and_one_copy_of_each_event(
    bus: Bus, feeds: Feeds, guard: Guard
) -> None:
    run = Run(bus)
    before = len(bus.client._subs)  # pyright: ignore[reportPrivateUsage]
    first = asyncio.Event()
    got: list[FeedItem] = []
    readers = [guard.spawn("reader", _note(feeds, run, first, got)) for _ in range(100)]
    await run.publish("1:0")
    await first.wait()
    # One for the topic, one for the replies of reads.
    assert len(bus.client._subs) - before <= 2  # pyright: ignore[reportPrivateUsage]
    await run.finish("1:1")
    await asyncio.gather(*readers)

    assert len(got) == 200
    assert len({id(item) for item in got}) == 2


async def test_nats_that_comes_back_with_an_empty_store_leaves_no_reader_behind(
    tmp_path: Path, tasks: Database, guard: Guard
) -> None:
    with start_nats(tmp_path) as nats:
        bus = await Bus.connect(Settings(nats_url=nats.url, nats_reconnect_seconds=0.05), name="t")
        feeds = Feeds(bus, Settings(), task_snapshots=tasks.snapshots)
        await feeds.start()
        lucky, unlucky, ended = Run(bus), Run(bus), Run(bus)
        readings = [guard.spawn("r", _read(feeds, run)) for run in (lucky, unlucky, ended)]
        for run in (lucky, unlucky, ended):
            await run.publish("1:0", "1:1", "1:2")
            assert await asyncio.to_thread(wait_until, partial(_has, feeds, run), seconds=5)
        await _restart_empty(nats, bus, _during(tasks, unlucky, ended))

        await lucky.publish("1:3")
        await lucky.finish("1:4")
        await unlucky.publish("1:6")
        await unlucky.finish("1:7")
        assert await readings[0] == ["1:0", "1:1", "1:2", "1:3", "1:4"]
        assert await readings[1] == ["1:0", "1:1", "1:2", "gap", "1:5", "1:6", "1:7"]
        assert await readings[2] == ["1:0", "1:1", "1:2", "1:3"]
        await feeds.close()
        await bus.close()


async def test_what_was_published_while_this_process_was_cut_off_is_read_again(
    bus: Bus, nats_url: str, guard: Guard
) -> None:
    cut = await Bus.connect(Settings(nats_url=nats_url, nats_reconnect_seconds=0.3), name="cut")
    feeds = Feeds(cut, Settings())
    await feeds.start()
    run = Run(bus)
    reading = guard.spawn("reader", _read(feeds, run))
    await run.publish("1:0")
    assert await asyncio.to_thread(wait_until, partial(_has, feeds, run), seconds=5)
    transport: Any = cut.client._transport  # pyright: ignore[reportPrivateUsage]
    transport.close()  # as a network that breaks
    await run.publish("1:1", "1:2")
    await run.finish("1:3")

    assert await reading == ["1:0", "1:1", "1:2", "1:3"]
    await feeds.close()
    await cut.close()


def _has(feeds: Feeds, run: Run) -> bool:
    topic = feeds._topics.get(f"task:{run.task_id}")  # pyright: ignore[reportPrivateUsage]
    return topic is not None and topic.ring.end > 0


def _during(tasks: Database, unlucky: Run, ended: Run) -> None:
    tasks.known[unlucky.task_id] = snapshot("1:5")
    tasks.known[ended.task_id] = snapshot("1:3", is_finished=True)


async def _restart_empty(nats: RunningNats, bus: Bus, _meanwhile: None) -> None:
    back = asyncio.Event()

    async def note() -> None:
        back.set()

    bus.on_reconnect(note)
    nats.process.kill()
    for path in sorted((nats.server.directory / "store").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    nats.process.start()
    await asyncio.wait_for(back.wait(), timeout=10)


async def _read(feeds: Feeds, run: Run, cursor: str | None = None) -> list[str]:
    """The cursors, and the types of events without one, until the feed ends."""
    async with asyncio.timeout(15):
        return [
            item.cursor or item.type async for item in feeds.follow_task(run.task_id, cursor=cursor)
        ]


async def _note(feeds: Feeds, run: Run, first: asyncio.Event, got: list[FeedItem]) -> None:
    async for item in feeds.follow_task(run.task_id):
        got.append(item)
        first.set()


async def test_a_slow_reader_falls_behind_the_ring_and_still_loses_nothing(
    bus: Bus, feeds: Feeds
) -> None:
    run = Run(bus)
    await run.publish("1:0")
    reading = feeds.follow_task(run.task_id)
    assert (await anext(reading)).cursor == "1:0"
    cursors = [f"1:{number}" for number in range(1, 200)]
    for start in range(0, len(cursors), 10):
        await run.publish(*cursors[start : start + 10])
    await run.finish("1:200")
    assert await asyncio.to_thread(wait_until, partial(_has, feeds, run), seconds=5)

    async with asyncio.timeout(10):
        assert [item.cursor async for item in reading] == [*cursors, "1:200"]

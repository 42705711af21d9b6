"""The bus: streams exist, repeats are stored once, a lost store is made again."""

import asyncio
import shutil
from pathlib import Path

import pytest
from nats.js import api
from orchestra.engines.testing import start_nats
from orchestra.foundation import ids, messaging
from orchestra.foundation.errors import Unavailable
from orchestra.foundation.messaging import Bus, Message
from orchestra.foundation.settings import Settings


def test_the_four_streams_are_as_specified_and_may_exist_already(nats_url: str) -> None:
    async def body() -> None:
        settings = Settings(nats_url=nats_url)
        first, second = (
            await Bus.connect(settings, name="one"),
            await Bus.connect(settings, name="two"),
        )
        manager = second.jetstream
        for name, subject in (
            ("TASKS", "tasks.>"),
            ("EVENTS", "events.>"),
            ("METRICS", "metrics.>"),
            ("LOGS", "logs.>"),
        ):
            config = (await manager.stream_info(name)).config
            assert config.subjects == [subject]
            assert config.storage == api.StorageType.FILE
            assert config.max_age == 24 * 3600
        assert (
            await manager.stream_info("TASKS")
        ).config.retention == api.RetentionPolicy.WORK_QUEUE
        assert first.stream_epoch == second.stream_epoch != ""
        await first.close()
        await second.close()

    asyncio.run(body())


def test_a_repeated_message_id_is_stored_once(nats_url: str) -> None:
    async def body() -> None:
        bus = await Bus.connect(Settings(nats_url=nats_url), name="test")
        message = Message(f"events.task.{ids.short_id()}", b"{}", message_id=ids.short_id())
        first, again = await bus.publish(message), await bus.publish(message)
        assert first.seq == again.seq
        assert again.duplicate
        await bus.close()

    asyncio.run(body())


def test_a_nats_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messaging, "CONNECT_TIMEOUT_SECONDS", 1.0)
    with pytest.raises(Unavailable, match="NATS"):
        asyncio.run(Bus.connect(Settings(nats_url="nats://127.0.0.1:1"), name="test"))


def test_after_its_store_is_lost_the_streams_exist_again_in_a_new_life(tmp_path: Path) -> None:
    async def body() -> None:
        with start_nats(tmp_path) as nats:
            bus = await Bus.connect(
                Settings(nats_url=nats.url, nats_reconnect_seconds=0.05), name="test"
            )
            former, back = bus.stream_epoch, asyncio.Event()

            async def note() -> None:
                back.set()

            bus.on_reconnect(note)
            await asyncio.to_thread(nats.process.kill)
            shutil.rmtree(nats.server.directory / "store")
            await asyncio.to_thread(nats.process.start)
            await asyncio.wait_for(back.wait(), timeout=10)
            ack = await bus.publish(Message("events.task.x", b"{}"))
            assert ack.seq == 1
            assert bus.stream_epoch != former
            await bus.close()

    asyncio.run(body())

"""JetStream on a disk that was full for a moment: real NATS on a real, small file system."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
from orchestra.engines.testing import start_nats
from orchestra.foundation import messaging
from orchestra.foundation.errors import Unavailable
from orchestra.foundation.messaging import Bus, Message
from orchestra.foundation.settings import Settings
from orchestra.foundation.stream_repair import ROUNDS, StreamRepair

DISK_BYTES = 24 * 1024**2
EVENT = Message("events.task.x", os.urandom(40_000))

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Path]:
    options = ("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(tmp_path))
    subprocess.run(["mount", *options], check=True, timeout=15)
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True, timeout=15)


async def _freeze(bus: Bus, disk: Path) -> None:
    """Until a write has failed; then there is space again."""
    rest = disk / "rest"
    with rest.open("wb") as file, contextlib.suppress(OSError):
        while file.write(bytes(1024**2)):
            file.flush()
    assert await _refused(bus, tries=20)
    rest.unlink()
    assert await _refused(bus, tries=1)


async def _refused(bus: Bus, *, tries: int) -> bool:
    try:
        for _ in range(tries):
            await bus.publish(EVENT)
    except Unavailable:
        return True
    return False


def test_a_stream_that_a_full_disk_froze_is_made_anew(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messaging, "PUBLISH_TIMEOUT_SECONDS", 0.5)

    async def body(url: str) -> None:
        bus, other = (
            await Bus.connect(Settings(nats_url=url), name="worker"),
            await Bus.connect(Settings(nats_url=url), name="api"),
        )
        renewed, former = asyncio.Event(), other.stream_epoch

        async def note() -> None:
            renewed.set()

        other.on_reconnect(note)
        await bus.publish(EVENT)
        await _freeze(bus, disk)
        repair = StreamRepair(bus)
        for _ in range(ROUNDS):
            assert not renewed.is_set()
            await repair.step()
        await asyncio.wait_for(renewed.wait(), timeout=5)
        assert other.stream_epoch != former
        await other.publish(EVENT)
        await bus.close()
        await other.close()

    with start_nats(disk) as nats:
        asyncio.run(body(nats.url))


def test_a_stream_that_works_is_left_alone(nats_url: str) -> None:
    async def body() -> None:
        bus = await Bus.connect(Settings(nats_url=nats_url), name="worker")
        repair, former = StreamRepair(bus), bus.stream_epoch
        for _ in range(ROUNDS + 1):
            await repair.step()
        await bus.ensure_streams()
        assert bus.stream_epoch == former
        await bus.close()

    asyncio.run(body())

"""The local NATS: one address for ever, a password, and a store that may be deleted."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from nats.js.api import StreamConfig
from orchestra.engines.address import loopback
from orchestra.engines.testing import RunningNats, start_nats


def test_a_restart_keeps_the_address_and_what_was_stored(tmp_path: Path) -> None:
    with start_nats(tmp_path) as server:
        asyncio.run(_store(server.url))
        server.process.kill()
        server.process.start()
        assert asyncio.run(_stored(server.url)) == 1


def test_it_starts_anew_when_its_store_was_deleted(tmp_path: Path) -> None:
    with start_nats(tmp_path) as server:
        asyncio.run(_store(server.url))
        server.process.stop()
        shutil.rmtree(server.server.directory / "store")
        server.process.start()
        asyncio.run(_store(server.url))
        assert asyncio.run(_stored(server.url)) == 1


def test_without_the_password_nobody_gets_in(nats: RunningNats) -> None:
    with loopback(nats.server.port).connect() as connection:
        connection.sendall(b'CONNECT {"user":"orchestra","pass":"wrong"}\r\nPING\r\n')
        said = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b"Authorization Violation" in said
    assert b"PONG" not in said


def test_only_the_owner_can_read_the_password(nats: RunningNats) -> None:
    assert nats.server.configuration.stat().st_mode & 0o077 == 0


async def _connect(url: str) -> Any:
    client: Any = Client()  # the types of its methods are incomplete
    await client.connect(url)
    return client


async def _store(url: str) -> None:
    client = await _connect(url)
    jetstream = client.jetstream()
    await jetstream.add_stream(StreamConfig(name="KEPT", subjects=["kept"]))
    await jetstream.publish("kept", b"something")
    await client.close()


async def _stored(url: str) -> int:
    client = await _connect(url)
    state = (await client.jetstream().stream_info("KEPT")).state
    await client.close()
    return state.messages

"""A hundred megabytes through a real api, which holds only a few of them at a time."""

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from orchestra.features.identity import ensure_local_key
from orchestra.foundation.database import Database
from orchestra.foundation.settings import Settings
from s3_server import RunningS3

MIB = 1024**2
SIZE_MIB = 100
# Of an upload into S3 four parts of 5 MiB are held; of a download a range of 4 MiB, and what waits
# in the HTTP server. It was 31 MiB, and 9 with PostgreSQL.
BOUND_MIB = 64
SECONDS = 120

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(SECONDS)]


@pytest.mark.parametrize("store", ["postgresql", "s3"])
async def test_a_hundred_megabytes_do_not_stay_in_memory(
    settings: Settings, database: Database, request: pytest.FixtureRequest, store: str
) -> None:
    if store == "s3":
        server: RunningS3 = request.getfixturevalue("s3")
        settings = server.use(settings)
    key = (await ensure_local_key(database, settings)).read_text().strip()
    with _api(settings) as process:
        try:
            async with _client(settings, key) as client:
                await _listening(client)
                await _there_and_back(client, 1)
                before = _peak_mib(process.pid)
                await _there_and_back(client, SIZE_MIB)
                grown = _peak_mib(process.pid) - before
        finally:
            process.kill()
    assert grown < BOUND_MIB, f"the api has grown by {grown:.0f} MiB"


def _api(settings: Settings) -> subprocess.Popen[bytes]:
    names = [*settings.origins, "data_dir", "database_url", "nats_url", "api_listen"]
    chosen = {f"ORCHESTRA_{name.upper()}": str(getattr(settings, name)) for name in names}
    return subprocess.Popen(
        [sys.executable, "-m", "orchestra.processes", "api"],
        env={**os.environ, **chosen},
    )


def _client(settings: Settings, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=settings.api_listen.removeprefix("unix:")),
        base_url="http://localhost",
        headers={"authorization": f"Bearer {key}"},
        timeout=SECONDS,
    )


async def _listening(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(SECONDS / 2):
        while True:
            with contextlib.suppress(httpx.ConnectError):
                answer = await client.get("/ready")
                assert answer.status_code == 200, answer.text
                return
            await asyncio.sleep(0.05)


async def _there_and_back(client: httpx.AsyncClient, mib: int) -> None:
    digest, block = hashlib.sha256(), os.urandom(MIB)

    async def content() -> AsyncIterator[bytes]:
        for number in range(mib):
            piece = number.to_bytes(8) + block[8:]
            digest.update(piece)
            yield piece

    stored = await client.put("/api/blobs", content=content())
    assert stored.status_code == 201, stored.text
    fetched = hashlib.sha256()
    async with client.stream("GET", f"/api/blobs/{digest.hexdigest()}") as answer:
        async for piece in answer.aiter_bytes():
            fetched.update(piece)
    assert fetched.digest() == digest.digest()


def _peak_mib(process_id: int) -> float:
    """The most memory that a process has ever had."""
    status = Path(f"/proc/{process_id}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024

"""What an idle live feed costs in memory: the api, and the gateway before it.

Readers come as people do, through the gateway, each with a connection of its own. It brings them to
the api as streams of a few HTTP/2 connections.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from orchestra.processes.serving import allow_many_files

from bench import machine
from bench.product import Product

WARM_UP_FEEDS = 200
AT_ONCE = 50
OPEN_SECONDS = 30.0
SETTLE_SECONDS = 2.0
PROGRAMS = ("api", "gateway")


@dataclass(frozen=True, slots=True)
class FeedMemory:
    """Resident bytes of api and gateway, before and with so many idle feeds."""

    feeds: int
    before: Mapping[str, int]
    after: Mapping[str, int]

    def kib_per_feed(self, program: str) -> float:
        return (self.after[program] - self.before[program]) / self.feeds / 1024


def measure(product: Product, *, feeds: int) -> FeedMemory:
    """Opens the feeds, waits for the first event of each, and looks at the memory."""
    allow_many_files()
    return asyncio.run(_measure(product, feeds))


async def _measure(product: Product, feeds: int) -> FeedMemory:
    # The first readers pay for what all of them share.
    readers = await _open(product, WARM_UP_FEEDS)
    await asyncio.sleep(SETTLE_SECONDS)
    before = _resident(product)
    readers += await _open(product, feeds)
    await asyncio.sleep(SETTLE_SECONDS)
    after = _resident(product)
    for writer in readers:
        writer.close()
    return FeedMemory(feeds, before, after)


async def _open(product: Product, count: int) -> list[asyncio.StreamWriter]:
    gate = asyncio.Semaphore(AT_ONCE)
    port = int(product.url.rpartition(":")[2])

    async def one() -> asyncio.StreamWriter:
        async with gate, asyncio.timeout(OPEN_SECONDS):
            return await _open_one(port, product.key)

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def _open_one(port: int, key: str) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
    writer.write(
        f"GET /api/events/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        "Accept: text/event-stream\r\n\r\n".encode()
    )
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"the feed was refused: {status!r}")
    await reader.readuntil(b"event: ready")
    return writer


def _resident(product: Product) -> dict[str, int]:
    parts = product.parts()
    return {
        name: sum(machine.resident_bytes(pid) for pid in machine.tree([parts[name]]))
        for name in PROGRAMS
    }

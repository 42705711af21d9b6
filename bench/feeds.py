"""What an idle live feed costs the api in memory.

The readers connect to the api's own socket: a process here may hold 20,000 files, and each reader
would take two of them in the gateway.
"""

import asyncio
from dataclasses import dataclass

from bench import machine
from bench.product import Product

WARM_UP_FEEDS = 200
AT_ONCE = 50
OPEN_SECONDS = 30.0
SETTLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class FeedMemory:
    """Resident bytes of the api, before and with so many idle feeds."""

    feeds: int
    before: int
    after: int

    @property
    def kib_per_feed(self) -> float:
        return (self.after - self.before) / self.feeds / 1024


def measure(product: Product, *, feeds: int) -> FeedMemory:
    """Opens the feeds, waits for the first event of each, and looks at the api's memory."""
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
    address = str(product.record()["settings"]["api_listen"])

    async def one() -> asyncio.StreamWriter:
        async with gate, asyncio.timeout(OPEN_SECONDS):
            return await _open_one(address.removeprefix("unix:"), product.key)

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def _open_one(socket: str, key: str) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_unix_connection(socket, limit=4096)
    writer.write(
        f"GET /api/events/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        "Accept: text/event-stream\r\n\r\n".encode()
    )
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"the feed was refused: {status!r}")
    await reader.readuntil(b"event: ready")
    return writer


def _resident(product: Product) -> int:
    return sum(machine.resident_bytes(pid) for pid in machine.tree([product.parts()["api"]]))

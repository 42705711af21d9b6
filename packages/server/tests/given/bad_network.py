"""A network between two programs that can be made to fail: a proxy for TCP."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

PIECE_BYTES = 64 * 1024


class BadNetwork:
    """Passes on what it is given. `cuts`: so many answers end after `cut_after` bytes.

    `is_silent`: connections are taken, and nothing is ever answered.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._serving: set[asyncio.Task[None]] = set()
        self.url = ""
        self.cuts = 0
        self.cut_after = 0
        self.is_silent = False
        self.connections = 0

    @asynccontextmanager
    async def open(self) -> AsyncGenerator["BadNetwork"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.connections += 1
        try:
            with contextlib.suppress(OSError):
                await self._pass_on(reader, writer)
        finally:
            self._serving.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_silent:
            await asyncio.Event().wait()
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        try:
            there = asyncio.ensure_future(_copy(reader, far_writer))
            back = asyncio.ensure_future(self._answer(far_reader, writer))
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            for copying in (there, back):
                copying.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
        finally:
            far_writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
            passed += len(piece)
            if self.cuts and passed > self.cut_after:
                self.cuts -= 1
                return


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE_BYTES):
        writer.write(piece)
        await writer.drain()

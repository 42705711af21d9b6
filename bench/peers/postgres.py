"""A PostgreSQL for one peer: the product's own binaries, a cluster of its own, every flush on."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import asyncpg
from orchestra.engines import postgres
from orchestra.engines.postgres import Postgres
from orchestra.engines.testing import Running

from bench import machine, programs

SHARED_BUFFERS = "512MB"  # as DBOS's documents measure
CONNECT_SECONDS = 10.0
POLL_SECONDS = 0.005


class PeerPostgres:
    """A started server with an empty database; asks from a loop of its own."""

    def __init__(self, directory: Path, name: str) -> None:
        # A short path: a socket's may have 107 bytes.
        sockets = directory / f"{name}-pg"
        sockets.mkdir(mode=0o711)
        self._server: Postgres = postgres.prepare(
            directory / name / "postgres", socket_directory=sockets
        )
        self._running = Running(
            self._server.command(),
            log=directory / f"{name}-postgres.log",
            is_ready=self._server.is_ready,
        )
        self._running.start()
        _pin(self._running.pid)
        self.loop = asyncio.new_event_loop()
        self.connection: Any = self.run(asyncpg.connect(self.url, timeout=CONNECT_SECONDS))

    @property
    def url(self) -> str:
        return self._server.url()

    @property
    def pid(self) -> int:
        return self._running.pid

    def run(self, work: Any) -> Any:
        """Awaits it in the loop of this server's clients."""
        return self.loop.run_until_complete(work)

    def wait_zero(self, sql: str, *, seconds: float) -> None:
        """Until a count is zero, such as that of tasks that are not over."""
        limit = time.monotonic() + seconds
        while self.run(self.connection.fetchval(sql)):
            if time.monotonic() > limit:
                raise TimeoutError(f"in vain for {seconds:g} s: {sql}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        self.run(self.connection.close())
        self.loop.close()
        self._running.stop()


def _pin(pid: int) -> None:
    """To the system's core; what it starts later inherits it."""
    for each in machine.tree([pid]):
        os.sched_setaffinity(each, {programs.SYSTEM_CORE})

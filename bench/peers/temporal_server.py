"""Temporal's dev server 1.9 on SQLite with its write-ahead log, every commit flushed.

It saturates at some dozens of workflows a second, so it is asked for fewer. Its servers for
production need a cluster that nobody has on a laptop.
"""

import asyncio
import itertools
import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestra.engines.process import free_port

from bench import programs
from bench.ledger import ENVIRONMENT, Ledger
from bench.peers import untyped
from bench.systems import Limits

APPLICATION = "bench.peers.temporal_app"
SERVER_OPTIONS = shlex.split(
    "server start-dev --headless --ip 127.0.0.1 --log-level error "
    "--sqlite-pragma journal_mode=wal --sqlite-pragma synchronous=2"
)
AT_ONCE = 50


class Temporal:
    """Server, one worker of eight slots, and a client in this process; a workflow without activity.

    Both processes sleep while others have their turn: the server alone takes a tenth of a core.
    """

    name = "Temporal dev server"
    durability = "SQLite, write-ahead log, flushed on every commit"
    limits = Limits(per_second=5, latency_tasks=25, most_tasks=200)

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.ledger = Ledger(directory / "temporal.ledger")
        self._server = programs.start(
            [
                str(programs.BIN / "temporal"),
                *SERVER_OPTIONS,
                *("--port", str(port), "--db-filename", str(directory / "temporal.sqlite")),
            ],
            log=directory / "temporal-server.log",
        )
        self._server.wait_until(lambda: programs.listens(port), seconds=60)
        self._loop = asyncio.new_event_loop()
        self._module = untyped(APPLICATION)
        client = untyped("temporalio.client").Client
        self._client: Any = self._loop.run_until_complete(client.connect(f"127.0.0.1:{port}"))
        self._worker = programs.start(
            [sys.executable, "-m", APPLICATION, f"127.0.0.1:{port}"],
            log=directory / "temporal.log",
            environment={ENVIRONMENT: str(self.ledger.path)},
        )
        self._handles: list[Any] = []
        self._numbers = itertools.count()
        self.submit(time.monotonic_ns())
        self._worker.wait_until(lambda: self.ledger.count() == 1, seconds=60)

    @property
    def parts(self) -> Mapping[str, int]:
        return {"server": self._server.pid, "worker": self._worker.pid}

    def wake(self) -> None:
        for program in (self._server, self._worker):
            os.killpg(program.pid, signal.SIGCONT)

    def rest(self) -> None:
        for program in (self._worker, self._server):
            os.killpg(program.pid, signal.SIGSTOP)

    def submit(self, sent_ns: int) -> None:
        self._loop.run_until_complete(self._start(sent_ns))

    def submit_many(self, count: int) -> None:
        for start in range(0, count, AT_ONCE):
            self._loop.run_until_complete(self._start_many(min(AT_ONCE, count - start)))

    def wait_done(self, count: int, *, seconds: float) -> None:
        self.ledger.wait_for(count, seconds=seconds)
        handles, self._handles = self._handles, []
        self._loop.run_until_complete(asyncio.wait_for(_ends(handles), seconds))

    def stop(self) -> None:
        self.wake()
        self._worker.stop()
        self._server.stop()
        self._loop.close()

    async def _start(self, sent_ns: int) -> None:
        self._handles.append(
            await self._client.start_workflow(
                self._module.Note.run,
                sent_ns,
                id=f"note-{next(self._numbers)}",
                task_queue=self._module.QUEUE,
            )
        )

    async def _start_many(self, count: int) -> None:
        await asyncio.gather(*(self._start(time.monotonic_ns()) for _ in range(count)))


async def _ends(handles: list[Any]) -> None:
    await asyncio.gather(*(handle.result() for handle in handles))

"""Taskiq 0.13 on NATS JetStream that flushes every message: fast, durable, without leases."""

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from orchestra.engines.binaries import nats_server
from orchestra.engines.process import free_port

from bench import programs
from bench.ledger import ENVIRONMENT, Ledger
from bench.peers import untyped
from bench.systems import Steady

APPLICATION = "bench.peers.taskiq_app"
WORKER_OPTIONS = ("--workers", "1", "--max-async-tasks", "8")
BATCH = 500


class TaskiqNats(Steady):
    """NATS, one worker of eight tasks at once, and a producer in this process."""

    name = "Taskiq + NATS"
    durability = "JetStream file, flushed on every message"

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.ledger = Ledger(directory / "taskiq.ledger")
        configuration = directory / "taskiq-nats.conf"
        store = directory / "taskiq-nats"
        configuration.write_text(
            f'listen: "127.0.0.1:{port}"\n'
            f'jetstream {{ store_dir: "{store}", sync_interval: always }}\n'
        )
        self._nats = programs.start(
            [str(nats_server()), "-c", str(configuration)], log=directory / "taskiq-nats.log"
        )
        self._nats.wait_until(lambda: programs.listens(port), seconds=10)
        os.environ["BENCH_NATS_URL"] = url = f"nats://127.0.0.1:{port}"
        self._worker = programs.start(
            [sys.executable, "-m", "taskiq", "worker", f"{APPLICATION}:broker", *WORKER_OPTIONS],
            log=directory / "taskiq.log",
            environment={ENVIRONMENT: str(self.ledger.path), "BENCH_NATS_URL": url},
        )
        self._loop = asyncio.new_event_loop()
        self._app = untyped(APPLICATION)
        self._loop.run_until_complete(self._app.broker.startup())
        self._warm_up()

    @property
    def parts(self) -> Mapping[str, int]:
        return {"nats": self._nats.pid, "worker": self._worker.pid}

    def submit(self, sent_ns: int) -> None:
        self._loop.run_until_complete(self._app.note.kiq(sent_ns))

    def submit_many(self, count: int) -> None:
        for start in range(0, count, BATCH):
            self._loop.run_until_complete(self._submit_batch(min(BATCH, count - start)))

    def wait_done(self, count: int, *, seconds: float) -> None:
        self.ledger.wait_for(count, seconds=seconds)

    def stop(self) -> None:
        self._loop.run_until_complete(self._app.broker.shutdown())
        self._loop.close()
        self._worker.stop()
        self._nats.stop()

    async def _submit_batch(self, count: int) -> None:
        await asyncio.gather(*(self._app.note.kiq(time.monotonic_ns()) for _ in range(count)))

    def _warm_up(self) -> None:
        self.submit(time.monotonic_ns())
        self._worker.wait_until(lambda: self.ledger.count() == 1, seconds=30)

"""procrastinate 3.10 on PostgreSQL, with a worker of eight slots.

Finished rows are kept, and later rounds ran at 60 % of the first: each round begins with an empty
table.
"""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bench import programs
from bench.ledger import ENVIRONMENT, Ledger
from bench.peers import untyped
from bench.peers.postgres import PeerPostgres
from bench.systems import Steady

APPLICATION = "bench.peers.procrastinate_app"
URL_VARIABLE = "BENCH_PROCRASTINATE_URL"
BATCH = 500
LEFT = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"


class Procrastinate(Steady):
    """PostgreSQL, one worker, and a producer in this process."""

    name = "procrastinate"
    durability = "PostgreSQL commit, flushed before submit returns"

    def __init__(self, directory: Path) -> None:
        self.ledger = Ledger(directory / "procrastinate.ledger")
        self._postgres = PeerPostgres(directory, "procrastinate")
        os.environ[URL_VARIABLE] = self._postgres.url
        self._module = untyped(APPLICATION)
        self._postgres.run(self._module.app.open_async())
        self._postgres.run(self._module.app.schema_manager.apply_schema_async())
        self._worker = programs.start(
            [sys.executable, "-m", APPLICATION],
            log=directory / "procrastinate.log",
            environment={ENVIRONMENT: str(self.ledger.path), URL_VARIABLE: self._postgres.url},
        )
        self.submit(time.monotonic_ns())
        self._worker.wait_until(lambda: self.ledger.count() == 1, seconds=30)

    @property
    def parts(self) -> Mapping[str, int]:
        return {"postgres": self._postgres.pid, "worker": self._worker.pid}

    def wake(self) -> None:
        self._postgres.wait_zero(LEFT, seconds=30)
        self._postgres.run(self._postgres.connection.execute("TRUNCATE procrastinate_jobs CASCADE"))

    def submit(self, sent_ns: int) -> None:
        self._postgres.run(self._module.note.defer_async(sent_ns=sent_ns))

    def submit_many(self, count: int) -> None:
        for start in range(0, count, BATCH):
            given = [{"sent_ns": time.monotonic_ns()}] * min(BATCH, count - start)
            self._postgres.run(self._module.note.batch_defer_async(*given))

    def wait_done(self, count: int, *, seconds: float) -> None:
        self.ledger.wait_for(count, seconds=seconds)
        self._postgres.wait_zero(LEFT, seconds=seconds)

    def stop(self) -> None:
        self._worker.stop()
        self._postgres.run(self._module.app.close_async())
        self._postgres.stop()

"""DBOS 3.4 on PostgreSQL, its queue looked at every 5 ms.

Looking costs half a core, so it sleeps while others have their turn.
"""

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bench import programs
from bench.ledger import ENVIRONMENT, Ledger
from bench.peers import untyped
from bench.peers.dbos_app import NAME, QUEUE, READY
from bench.peers.postgres import PeerPostgres
from bench.systems import Limits

BATCH = 500
OPTIONS = {"queue_name": QUEUE, "workflow_name": NAME, "app_version": "1"}
LEFT = "SELECT count(*) FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING')"


class Dbos:
    """PostgreSQL, one worker of eight slots, and a client in this process."""

    name = "DBOS"
    durability = "PostgreSQL commit, flushed before submit returns"
    limits = Limits()

    def __init__(self, directory: Path) -> None:
        self.ledger = Ledger(directory / "dbos.ledger")
        self._postgres = PeerPostgres(directory, "dbos")
        url = self._postgres.url
        self._worker = programs.start(
            [sys.executable, "-m", "bench.peers.dbos_app", url],
            log=directory / "dbos.log",
            environment={ENVIRONMENT: str(self.ledger.path)},
        )
        self._worker.wait_until(lambda: READY in self._worker.tail(), seconds=60)
        self._client = untyped("dbos").DBOSClient(system_database_url=url)
        sqlalchemy = untyped("sqlalchemy")
        self._engine = sqlalchemy.create_engine(
            url.replace("postgresql://", "postgresql+psycopg://"), pool_size=1
        )
        self.submit(time.monotonic_ns())
        self._worker.wait_until(lambda: self.ledger.count() == 1, seconds=30)

    @property
    def parts(self) -> Mapping[str, int]:
        return {"postgres": self._postgres.pid, "worker": self._worker.pid}

    def wake(self) -> None:
        os.kill(self._worker.pid, signal.SIGCONT)

    def rest(self) -> None:
        os.kill(self._worker.pid, signal.SIGSTOP)

    def submit(self, sent_ns: int) -> None:
        self._client.enqueue(OPTIONS, sent_ns)

    def submit_many(self, count: int) -> None:
        for start in range(0, count, BATCH):
            with self._engine.begin() as connection:
                for _ in range(min(BATCH, count - start)):
                    self._client.enqueue_in_transaction(connection, OPTIONS, time.monotonic_ns())

    def wait_done(self, count: int, *, seconds: float) -> None:
        self.ledger.wait_for(count, seconds=seconds)
        self._postgres.wait_zero(LEFT, seconds=seconds)

    def stop(self) -> None:
        self.wake()
        self._client.destroy()
        self._engine.dispose()
        self._worker.stop()
        self._postgres.stop()

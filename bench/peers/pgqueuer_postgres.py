"""pgqueuer 1.6 on PostgreSQL: the strongest durable peer. It has no leases across machines."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import programs
from bench.ledger import ENVIRONMENT, Ledger
from bench.peers import untyped
from bench.peers.pgqueuer_app import NAME
from bench.peers.postgres import PeerPostgres
from bench.systems import Steady

BATCH = 500
LEFT = "SELECT count(*) FROM pgqueuer"


class Pgqueuer(Steady):
    """One worker, and a producer in this process; `arms` are its two ways to work."""

    durability = "PostgreSQL commit, flushed before submit returns"

    def __init__(self, directory: Path, *, batch: int, most: int | None) -> None:
        self.name = f"pgqueuer, {f'{most} in flight' if most else f'batch {batch}'}"
        label = f"pgqueuer-{most or batch}"
        self.ledger = Ledger(directory / f"{label}.ledger")
        self._postgres = PeerPostgres(directory, label)
        pgqueuer = untyped("pgqueuer")
        self._queries = pgqueuer.Queries(pgqueuer.AsyncpgDriver(self._postgres.connection))
        self._postgres.run(self._queries.install())
        options: Sequence[str] = [str(batch), *([str(most)] if most else [])]
        self._worker = programs.start(
            [sys.executable, "-m", "bench.peers.pgqueuer_app", self._postgres.url, *options],
            log=directory / f"{label}.log",
            environment={ENVIRONMENT: str(self.ledger.path)},
        )
        self.submit(time.monotonic_ns())
        self._worker.wait_until(lambda: self.ledger.count() == 1, seconds=30)

    @property
    def parts(self) -> Mapping[str, int]:
        return {"postgres": self._postgres.pid, "worker": self._worker.pid}

    def submit(self, sent_ns: int) -> None:
        self._postgres.run(self._queries.enqueue(NAME, b"%d" % sent_ns))

    def submit_many(self, count: int) -> None:
        for start in range(0, count, BATCH):
            size = min(BATCH, count - start)
            payloads = [b"%d" % time.monotonic_ns()] * size
            self._postgres.run(self._queries.enqueue([NAME] * size, payloads, [0] * size))

    def wait_done(self, count: int, *, seconds: float) -> None:
        self.ledger.wait_for(count, seconds=seconds)
        self._postgres.wait_zero(LEFT, seconds=seconds)

    def stop(self) -> None:
        self._worker.stop()
        self._postgres.stop()

"""Celery 5.7 on Debian's Redis: append-only file flushed every second, late acknowledgement."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from orchestra.engines.process import free_port

from bench import programs
from bench.ledger import ENVIRONMENT, Ledger
from bench.peers import untyped
from bench.systems import Steady

APPLICATION = "bench.peers.celery_app"
REDIS_OPTIONS = shlex.split("--bind 127.0.0.1 --appendonly yes --appendfsync everysec --save ''")
WORKER_OPTIONS = shlex.split(
    "-P threads -c 8 -l warning --without-gossip --without-mingle --without-heartbeat"
)


class CeleryRedis(Steady):
    """Redis, one worker of eight threads, and a producer in this process."""

    name = "Celery + Redis"
    durability = "Redis append-only file, flushed every second"

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.ledger = Ledger(directory / "celery.ledger")
        store = directory / "redis"
        store.mkdir()
        self._redis = programs.start(
            [redis_server(), "--port", str(port), "--dir", str(store), *REDIS_OPTIONS],
            log=directory / "redis.log",
        )
        self._redis.wait_until(lambda: programs.listens(port), seconds=10)
        os.environ["BENCH_REDIS_URL"] = url = f"redis://127.0.0.1:{port}/0"
        self._worker = programs.start(
            [sys.executable, "-m", "celery", "-A", APPLICATION, "worker", *WORKER_OPTIONS],
            log=directory / "celery.log",
            environment={ENVIRONMENT: str(self.ledger.path), "BENCH_REDIS_URL": url},
        )
        self._app = untyped(APPLICATION)
        self._warm_up()

    @property
    def parts(self) -> Mapping[str, int]:
        return {"redis": self._redis.pid, "worker": self._worker.pid}

    def submit(self, sent_ns: int) -> None:
        self._app.note.apply_async((sent_ns,))

    def submit_many(self, count: int) -> None:
        with self._app.app.producer_pool.acquire(block=True) as producer:
            for _ in range(count):
                self._app.note.apply_async((time.monotonic_ns(),), producer=producer)

    def wait_done(self, count: int, *, seconds: float) -> None:
        # The acknowledgement follows the function at once; there is no result to wait for.
        self.ledger.wait_for(count, seconds=seconds)

    def stop(self) -> None:
        self._worker.stop()
        self._redis.stop()

    def _warm_up(self) -> None:
        self.submit(time.monotonic_ns())
        self._worker.wait_until(lambda: self.ledger.count() == 1, seconds=30)


def redis_server() -> str:
    """Debian's, installed here when we may; raises RuntimeError with what to type otherwise."""
    found = shutil.which("redis-server")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-qq", "-y", "redis-server"], check=True, timeout=300)
        found = shutil.which("redis-server")
    if found is None:
        raise RuntimeError("Celery needs Redis: sudo apt-get install -y redis-server")
    return found

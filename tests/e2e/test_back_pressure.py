"""Load goes on while a part is away or a disk is full: what is not refused is done, and once."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
from e2e.agents import effects, running, write_echo
from e2e.feeds import Reader, reading
from e2e.product import Product, wait_until
from orchestra.engines.process import free_ports

# `make chaos` has it away for a minute.
AWAY_SECONDS = 20.0
SUBMITTERS = 4
# Of one request: long enough for a busy machine, far below what a broken wait would take.
LONGEST_SECONDS = 12.0
PAUSE_SECONDS = 0.02
# PostgreSQL and NATS take some 200 MB of it, and `up` asks for as much again.
DISK_BYTES = 560 * 1024**2
INCOMPRESSIBLE = os.urandom(100_000).hex()
GROWTH_BYTES = 48 * 1024**2


@dataclass(slots=True)
class Load:
    """Several submitters at work; what each was told is kept."""

    product: Product
    capability: str
    input: object = "x" * 2000
    acknowledged: list[str] = field(default_factory=list[str])
    refused: list[httpx.Response] = field(default_factory=list[httpx.Response])
    longest: float = 0.0
    _stopped: threading.Event = field(default_factory=threading.Event)

    def submit(self) -> None:
        """One submitter, until the load stops."""
        with self.product.client() as client:
            while not self._stopped.wait(PAUSE_SECONDS):
                body = {"capability": self.capability, "input": self.input}
                began = time.monotonic()
                answer = client.post("/api/tasks", json=body)
                self.longest = max(self.longest, time.monotonic() - began)
                if answer.is_success:
                    self.acknowledged.append(answer.json()["id"])
                else:
                    self.refused.append(answer)

    @contextmanager
    def running(self) -> Generator[None]:
        threads = [threading.Thread(target=self.submit, daemon=True) for _ in range(SUBMITTERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop()
            for thread in threads:
                thread.join(30)

    def stop(self) -> None:
        self._stopped.set()

    def assert_refusals_are_clear(self) -> None:
        for answer in self.refused:
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["code"] == "unavailable"


@pytest.mark.timeout(300)
def test_submits_go_on_while_nats_is_silent(product: Product, tmp_path: Path) -> None:
    load, echo = Load(product, "silent"), write_echo(tmp_path, capability="silent")
    with running(product, echo, capability="silent"), load.running():
        wait_until(lambda: len(load.acknowledged) > 50, seconds=30, what="the load has begun")
        before, begun = _resident(product), len(load.acknowledged)
        with _stopped(product.pid("nats")):
            limit = time.monotonic() + AWAY_SECONDS
            wait_until(lambda: time.monotonic() > limit, seconds=90, what="NATS was silent")
        grown, meanwhile = _resident(product) - before, len(load.acknowledged) - begun
        load.stop()
        _assert_done_once(load, echo)
    assert meanwhile > 50, f"nearly nothing was taken in: {meanwhile}"
    assert load.longest < LONGEST_SECONDS
    assert grown < GROWTH_BYTES
    load.assert_refusals_are_clear()


@pytest.mark.timeout(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_full_disk_refuses_what_it_cannot_keep_and_heals(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "disk") as disk, _instance(disk / "data") as product:
        load, echo = Load(product, "full", INCOMPRESSIBLE), write_echo(tmp_path, capability="full")
        with running(product, echo, capability="full"), load.running():
            wait_until(lambda: len(load.acknowledged) > 20, seconds=30, what="the load has begun")
            rest = _fill(disk)
            wait_until(lambda: len(load.refused) > 20, seconds=90, what="the disk is felt")
            rest.unlink()
            before = len(load.acknowledged)
            wait_until(
                lambda: len(load.acknowledged) > before + 20, seconds=60, what="it is healed"
            )
            load.stop()
            _assert_done_once(load, echo)
            # Without JetStream only the snapshot from the database would come.
            wait_until(
                lambda: len(_read_new_task(product).cursors) > 1,
                seconds=90,
                what="JetStream feeds the readers again",
            )
        load.assert_refusals_are_clear()


def _read_new_task(product: Product) -> Reader:
    """A feed to its end. JetStream may have frozen its stream, which is made anew in time."""
    with product.client() as client:
        task = client.post("/api/tasks", json={"capability": "full", "input": 1}).json()
    reader = Reader(product, task["id"])
    with reading(reader):
        wait_until(lambda: reader.finished, seconds=90, what="a new task's feed comes to its end")
    return reader


@contextmanager
def _small_disk(directory: Path) -> Generator[Path]:
    """A disk of its own in memory; one that is only full cannot be told from a real one."""
    directory.mkdir()
    options = ("-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=755", "tmpfs", str(directory))
    subprocess.run(["mount", *options], check=True, timeout=15)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True, timeout=15)


@contextmanager
def _instance(data_dir: Path) -> Generator[Product]:
    http_port, https_port = free_ports(2)
    settings = {"ORCHESTRA_LOCAL_MODEL": "false"}
    product = Product(data_dir, http_port, https_port, settings)
    product.start()
    try:
        yield product
    finally:
        product.stop()


def _fill(disk: Path) -> Path:
    """Takes all that is left; returns the file that holds it."""
    rest = disk / "rest"
    with rest.open("wb") as file, contextlib.suppress(OSError):
        while file.write(bytes(1024**2)):
            file.flush()
    return rest


@contextmanager
def _stopped(pid: int) -> Generator[None]:
    """Its connections stay open and nobody answers: worse than a process that is gone."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _resident(product: Product) -> int:
    names = ("api", "control-plane", "worker")
    return sum(psutil.Process(product.pid(name)).memory_info().rss for name in names)


def _assert_done_once(load: Load, echo: Path) -> None:
    """Each acknowledged task took effect, and none twice."""
    acknowledged = set(load.acknowledged)
    wait_until(
        lambda: acknowledged <= set(effects(echo)),
        seconds=90,
        what=f"all {len(acknowledged)} tasks are done",
    )
    done = effects(echo)
    assert len(done) == len(set(done))

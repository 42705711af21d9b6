"""PostgreSQL and NATS die, forget, go back in time, and are away for a while."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from chaos.faults.fault import Fault
from chaos.stage import Stage

RESTART_SECONDS = 60.0
POSTGRES_AWAY_SECONDS = 30.0
NATS_AWAY_SECONDS = 60.0


def _store(stage: Stage) -> Path:
    return stage.product.data_dir / "nats" / "store"


def _kill_nats_and_its_store(stage: Stage) -> None:
    """Invariant: JetStream is a conveyor; deleting its whole store loses nothing acknowledged."""
    stage.wait_for_load(0.2, 0.6)
    former = stage.product.pid("nats")
    stage.product.kill("nats")
    shutil.rmtree(_store(stage), ignore_errors=True)
    stage.product.wait_restarted("nats", former, seconds=RESTART_SECONDS)


def _power_cut_of_nats(stage: Stage) -> None:
    """It comes back with a store as old as a disk that had not been flushed would leave it."""
    stage.wait_for_load(0.1, 0.3)
    old = stage.directory / "nats-store"
    # Files change while they are copied, as they do under a power cut.
    subprocess.run(["cp", "-a", str(_store(stage)), str(old)], check=False, timeout=30)
    stage.wait_for_load(0.5, 0.8)
    former = stage.product.pid("nats")
    stage.product.kill("nats")
    shutil.rmtree(_store(stage), ignore_errors=True)
    shutil.move(old, _store(stage))
    stage.product.wait_restarted("nats", former, seconds=RESTART_SECONDS)


def _nats_away(stage: Stage) -> None:
    """It stops answering without closing a connection; submits are taken all the same."""
    stage.wait_for_load(0.2, 0.5)
    pid = stage.product.pid("nats")
    os.kill(pid, signal.SIGSTOP)
    try:
        stage.pause(NATS_AWAY_SECONDS)
    finally:
        os.kill(pid, signal.SIGCONT)


def _kill_postgres(stage: Stage) -> None:
    stage.wait_for_load(0.2, 0.6)
    former = stage.product.pid("postgres")
    with stage.api_may_fail(after=5.0):
        stage.product.kill("postgres")
        stage.product.wait_restarted("postgres", former, seconds=RESTART_SECONDS)


def _postgres_away(stage: Stage) -> None:
    """Its processes are stopped: connections stay open, and no answer comes."""
    stage.wait_for_load(0.2, 0.5)
    pid = stage.product.pid("postgres")
    with stage.api_may_fail(after=10.0):
        os.kill(pid, signal.SIGSTOP)  # it first: it makes no new ones
        stopped = _children(pid)
        for child in stopped:
            os.kill(child, signal.SIGSTOP)
        try:
            stage.pause(POSTGRES_AWAY_SECONDS)
        finally:
            for each in (*stopped, pid):
                os.kill(each, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in path.read_text().split()]


FAULTS = (
    Fault(
        name="nats-store-lost",
        about="kill -9 of NATS, and its whole store is deleted",
        run=_kill_nats_and_its_store,
        is_short=True,
    ),
    Fault(
        name="nats-power-cut",
        about="kill -9 of NATS, which comes back with an older store",
        run=_power_cut_of_nats,
        is_short=True,
    ),
    Fault(name="nats-away", about="NATS is stopped for a minute, then continued", run=_nats_away),
    Fault(
        name="kill-postgres",
        about="kill -9 of PostgreSQL; it recovers from its log",
        run=_kill_postgres,
        is_short=True,
    ),
    Fault(
        name="postgres-away",
        about="PostgreSQL is stopped for 30 s, then continued",
        run=_postgres_away,
    ),
)

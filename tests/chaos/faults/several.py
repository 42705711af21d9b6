"""Two control planes, and two workers: any of them dies or sleeps, and the other goes on."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

from chaos.faults.fault import Fault
from chaos.faults.processes import PAST_LEASE_SECONDS, kill, pause
from chaos.stage import Size, Stage

PLANES = ("control-plane-1", "control-plane-2")
TWO_PLANES = {"control_planes": "2"}
# Beyond the time after which PostgreSQL takes its office from a leader who says nothing.
PAST_OFFICE_SECONDS = 25.0
END_SECONDS = 10.0


def _kill_each_plane(stage: Stage) -> None:
    """One after the other, so that all agents move there and back."""
    planes = stage.random.sample(PLANES, len(PLANES))
    for place, name in enumerate(planes):
        share = 0.15 + 0.4 * place
        stage.wait_for_load(share, share + 0.2)
        kill(stage, name)


def _each_plane_away(stage: Stage) -> None:
    """It wakes with sessions and leases in its hands that the other has by then."""
    planes = stage.random.sample(PLANES, len(PLANES))
    for place, name in enumerate(planes):
        share = 0.15 + 0.4 * place
        stage.wait_for_load(share, share + 0.2)
        pause(stage, name, seconds=PAST_LEASE_SECONDS)


def _leader_moves(stage: Stage) -> None:
    """The leader is killed, then each worker sleeps, one of whom leads; the load ends meanwhile."""
    with _second_worker(stage) as second:
        stage.wait_for_load(0.1, 0.3)
        kill(stage, "worker")
        sleepers = [stage.product.pid("worker"), second]
        stage.random.shuffle(sleepers)
        with _asleep(sleepers[0]):
            stage.pause(PAST_OFFICE_SECONDS)
        with _asleep(sleepers[1]):
            stage.settle()


@contextlib.contextmanager
def _asleep(pid: int) -> Generator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def _second_worker(stage: Stage) -> Generator[int]:
    """As another machine would have one, told the same as the first; yields its process id."""
    told = Path(f"/proc/{stage.product.pid('worker')}/environ").read_bytes().split(b"\0")
    pairs = [item.decode().partition("=") for item in told if item]
    environment = {name: text for name, _, text in pairs}
    environment["ORCHESTRA_WORKER_LISTEN"] = f"unix:{stage.directory / 'worker-2.sock'}"
    with (stage.directory / "worker-2.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestra.processes", "worker"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        process.kill()
        process.wait(END_SECONDS)


FAULTS = (
    Fault(
        name="kill-each-plane",
        about="of two control planes each is killed in its turn",
        run=_kill_each_plane,
        settings=TWO_PLANES,
    ),
    Fault(
        name="each-plane-away",
        about="of two control planes each is stopped for longer than its leases",
        run=_each_plane_away,
        settings=TWO_PLANES,
    ),
    Fault(
        name="leader-moves",
        about="of two workers the leader is killed, and the next leader stopped",
        run=_leader_moves,
        size=Size(submits=600, rate=15.0),
    ),
)

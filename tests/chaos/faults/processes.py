"""Our own processes die, one by one, all at once, and one after the other."""

import os
import signal

from chaos.faults.fault import Fault
from chaos.stage import Size, Stage

RESTART_SECONDS = 60.0
# Longer than the lease that the runner sets.
PAST_LEASE_SECONDS = 7.0
POINTS = (
    "submit.before-commit",
    "submit.after-commit",
    "claim.after-commit",
    "events.after-send",
    "end.before-commit",
    "end.before-acknowledge",
    "outbox.after-send",
)
POINTS_A_RUN = 4
LONG = Size(submits=500, rate=20.0)


def kill(stage: Stage, name: str) -> None:
    former = stage.product.pid(name)
    stage.product.kill(name)
    stage.product.wait_restarted(name, former, seconds=RESTART_SECONDS)


def _kill_control_plane(stage: Stage) -> None:
    for share in (0.2, 0.6):
        stage.wait_for_load(share, share + 0.2)
        kill(stage, "control-plane")


def _kill_worker(stage: Stage) -> None:
    for share in (0.2, 0.6):
        stage.wait_for_load(share, share + 0.2)
        kill(stage, "worker")


def _kill_api(stage: Stage) -> None:
    stage.wait_for_load(0.2, 0.6)
    with stage.api_may_fail():
        kill(stage, "api")


def _kill_gateway(stage: Stage) -> None:
    stage.wait_for_load(0.2, 0.6)
    with stage.api_may_fail():
        kill(stage, "gateway")


def _kill_everything(stage: Stage) -> None:
    stage.wait_for_load(0.2, 0.6)
    with stage.api_may_fail(after=2.0):
        stage.product.kill_everything()
        stage.product.start()


def _control_plane_away(stage: Stage) -> None:
    """It wakes with leases in its hands that the worker has given to nobody knows whom."""
    stage.wait_for_load(0.2, 0.5)
    pause(stage, "control-plane", seconds=PAST_LEASE_SECONDS)


def _gateway_away(stage: Stage) -> None:
    """A partition: everybody lives, and nobody reaches anybody through the door."""
    stage.wait_for_load(0.2, 0.5)
    with stage.api_may_fail(after=5.0):
        pause(stage, "gateway", seconds=PAST_LEASE_SECONDS)


def pause(stage: Stage, name: str, *, seconds: float) -> None:
    pid = stage.product.pid(name)
    os.kill(pid, signal.SIGSTOP)
    try:
        stage.pause(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


def _rolling_restart(stage: Stage) -> None:
    """Each process is asked to stop, as a deployment does, and the next follows."""
    stage.wait_for_load(0.1, 0.3)
    for name in ("worker", "control-plane"):
        restart(stage, name)
    with stage.api_may_fail():
        restart(stage, "api")


def restart(stage: Stage, name: str) -> None:
    former = stage.product.pid(name)
    stage.product.ask_to_stop(name)
    stage.product.wait_restarted(name, former, seconds=RESTART_SECONDS)


def _crash_points(stage: Stage) -> None:
    """Each of our processes dies between commit, send and acknowledgement, in the seed's order."""
    points = stage.random.sample(POINTS, POINTS_A_RUN)
    points.sort(key=lambda point: not point.startswith("submit."))  # while there are submits
    stage.wait_for_load(0.05, 0.1)
    with stage.api_may_fail():
        for point in points:
            before = stage.pids()
            if stage.crash_at(point):
                stage.wait_all_ready(before)


def _crash_while_taking_back(stage: Stage) -> None:
    """Agents and control plane are gone; the worker, who takes their leases back, dies at it."""
    stage.wait_for_load(0.3, 0.5)
    point = stage.random.choice(("take-back.before-commit", "take-back.after-commit"))
    before = stage.pids()
    for agent in stage.agents:
        agent.pause()
    try:
        stage.product.kill("control-plane")
        stage.crash_at(point)
    finally:
        for agent in stage.agents:
            agent.resume()
    stage.wait_all_ready(before)


FAULTS = (
    Fault(
        name="kill-control-plane",
        about="kill -9 of the control plane, twice",
        run=_kill_control_plane,
        is_short=True,
    ),
    Fault(
        name="kill-worker", about="kill -9 of the worker, twice", run=_kill_worker, is_short=True
    ),
    Fault(name="kill-api", about="kill -9 of the api", run=_kill_api, is_short=True),
    Fault(name="kill-gateway", about="kill -9 of the gateway", run=_kill_gateway, is_short=True),
    Fault(
        name="kill-everything",
        about="kill -9 of all processes and engines at once, then a start",
        run=_kill_everything,
    ),
    Fault(
        name="control-plane-away",
        about="the control plane is stopped for longer than its leases, then continued",
        run=_control_plane_away,
    ),
    Fault(
        name="gateway-away",
        about="the gateway is stopped for longer than all leases: a partition, both ways",
        run=_gateway_away,
    ),
    Fault(
        name="rolling-restart",
        about="worker, control plane and api are asked to stop, one after the other",
        run=_rolling_restart,
    ),
    Fault(
        name="crash-points",
        about="processes die between commit, send and acknowledgement, at four points of seven",
        run=_crash_points,
        size=LONG,
    ),
    Fault(
        name="crash-taking-back",
        about="the worker dies while it takes leases back, before and after its commit",
        run=_crash_while_taking_back,
    ),
)

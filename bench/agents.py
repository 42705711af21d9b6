"""What ten thousand connected agents cost, beside a naive server, and how soon they are back.

They come through the gateway, as agents do; memory is the growth of every program that holds
something for them (gateway, control plane), heartbeats are what all programs of the instance use
beyond idling.
"""

import os
import signal
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import machine, programs
from bench.fleet_program import FleetProgram
from bench.product import Product

SETTLE_SECONDS = 5.0
MEASURE_SECONDS = 15.0
HOLDERS = ("control-plane", "gateway")


@dataclass(frozen=True, slots=True)
class Held:
    """A server with its agents: seconds to attach all, memory of each, CPU of their heartbeats."""

    attach_seconds: float
    bytes_by_program: Mapping[str, float]  # for each agent
    asked_percent: float  # of one core, for all, with as many heartbeats as it asks for
    beat_percent: float  # with one every 5 s from each

    @property
    def kib_per_agent(self) -> float:
        return sum(self.bytes_by_program.values()) / 1024


@dataclass(frozen=True, slots=True)
class Agents:
    """Ours and the naive server's; seconds until all were attached again after kill -9."""

    count: int
    ours: Held
    naive: Held
    back_seconds: float


def measure(product: Product, directory: Path, *, count: int) -> Agents:
    """The naive server goes first and is gone when ours begins."""
    naive = _naive(directory, count)
    parts = product.parts()
    with FleetProgram(directory, product.url, product.key, count=count) as fleet:
        ours = _hold(
            {name: parts[name] for name in HOLDERS}, parts.values(), fleet=fleet, count=count
        )
        killed = time.monotonic_ns()
        os.kill(parts["control-plane"], signal.SIGKILL)
        back = (fleet.wait_attached(2) - killed) / 1e9
    return Agents(count, ours, naive, back)


def _naive(directory: Path, count: int) -> Held:
    port = programs.free_port()
    server = programs.start(
        [sys.executable, "-m", "bench.peers.naive_grpc", str(port)], log=directory / "naive.log"
    )
    try:
        server.wait_until(lambda: programs.listens(port), seconds=30)
        with FleetProgram(directory, f"http://127.0.0.1:{port}", "none", count=count) as fleet:
            return _hold({"server": server.pid}, [server.pid], fleet=fleet, count=count)
    finally:
        server.stop()


def _hold(
    holders: Mapping[str, int], everything: Collection[int], *, fleet: FleetProgram, count: int
) -> Held:
    before = {name: machine.resident_bytes(pid) for name, pid in holders.items()}
    idle = _percent(everything)
    began = time.monotonic_ns()
    fleet.go()
    attached = (fleet.wait_attached(1) - began) / 1e9
    time.sleep(SETTLE_SECONDS)
    asked = _percent(everything) - idle
    grown = {
        name: (machine.resident_bytes(pid) - before[name]) / count for name, pid in holders.items()
    }
    fleet.insist()
    time.sleep(SETTLE_SECONDS)
    return Held(attached, grown, asked, _percent(everything) - idle)


def _percent(pids: Collection[int]) -> float:
    """Of one core, over some seconds."""
    before, began = machine.cpu_seconds(pids), time.monotonic()
    time.sleep(MEASURE_SECONDS)
    return 100 * (machine.cpu_seconds(pids) - before) / (time.monotonic() - began)

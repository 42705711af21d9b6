"""What ten thousand connected agents cost, beside a naive server, and how soon they are back.

They come through the gateway, as agents do; memory is the growth of every program that holds
something for them (gateway, control plane), heartbeats are what all programs of the instance use
beyond idling.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestra.engines.process import free_port

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
    """The naive server goes first and is gone when ours begins.

    Those that come back beat as rarely as they are asked to, as the agents of the SDKs do.
    """
    naive = _naive(directory, count)
    with FleetProgram(directory, product.url, product.key, count=count) as fleet:
        server = _Server(product.parts, HOLDERS, fleet)
        server.attach(count)
        killed = time.monotonic_ns()
        os.kill(product.parts()["control-plane"], signal.SIGKILL)
        back = (fleet.wait_attached(2) - killed) / 1e9
        return Agents(count, server.insist(), naive, back)


def _naive(directory: Path, count: int) -> Held:
    port = free_port()
    program = programs.start(
        [sys.executable, "-m", "bench.peers.naive_grpc", str(port)], log=directory / "naive.log"
    )
    try:
        program.wait_until(lambda: programs.listens(port), seconds=30)
        with FleetProgram(directory, f"http://127.0.0.1:{port}", "none", count=count) as fleet:
            server = _Server(lambda: {"server": program.pid}, ["server"], fleet)
            server.attach(count)
            return server.insist()
    finally:
        program.stop()


class _Server:
    """The programs of a server, by name, of which `holders` hold something for each agent."""

    def __init__(
        self,
        parts: Callable[[], Mapping[str, int]],
        holders: Collection[str],
        fleet: FleetProgram,
    ) -> None:
        self._parts, self._holders, self._fleet = parts, holders, fleet
        self._idle = self._asked = self._attach_seconds = 0.0
        self._grown: dict[str, float] = {}

    def attach(self, count: int) -> None:
        """All agents come, and beat as often as they are asked to."""
        before = self._memory()
        self._idle = _percent(self._parts().values())
        began = time.monotonic_ns()
        self._fleet.go()
        self._attach_seconds = (self._fleet.wait_attached(1) - began) / 1e9
        time.sleep(SETTLE_SECONDS)
        self._asked = _percent(self._parts().values()) - self._idle
        self._grown = {name: (now - before[name]) / count for name, now in self._memory().items()}

    def insist(self) -> Held:
        """They beat as often as they were started to: what all of it has cost."""
        self._fleet.insist()
        time.sleep(SETTLE_SECONDS)
        beats = _percent(self._parts().values()) - self._idle
        return Held(self._attach_seconds, self._grown, self._asked, beats)

    def _memory(self) -> dict[str, int]:
        parts = self._parts()
        return {name: machine.resident_bytes(parts[name]) for name in self._holders}


def _percent(pids: Collection[int]) -> float:
    """Of one core, over some seconds."""
    before, began = machine.cpu_seconds(pids), time.monotonic()
    time.sleep(MEASURE_SECONDS)
    return 100 * (machine.cpu_seconds(pids) - before) / (time.monotonic() - began)

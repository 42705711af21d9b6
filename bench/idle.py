"""What a started product costs while nobody uses it, and how soon it is there again."""

import time
from dataclasses import dataclass

from bench import machine
from bench.product import Product
from bench.statistic import Rounds

IDLE_SECONDS = 30.0
SETTLE_SECONDS = 3.0
STARTS = 3


@dataclass(frozen=True, slots=True)
class Idle:
    """Percent of one core for the whole and by program, and seconds of each warm start."""

    percent: float
    by_program: dict[str, float]
    warm_start_seconds: Rounds


def measure(product: Product) -> Idle:
    """Idle first, then starts on the data directory that exists."""
    time.sleep(SETTLE_SECONDS)
    percent, by_program = _idle(product)
    starts: list[float] = []
    for _ in range(STARTS):
        product.stop()
        starts.append(product.start())
    return Idle(percent, by_program, Rounds(tuple(starts)))


def _idle(product: Product) -> tuple[float, dict[str, float]]:
    parts = {**{name: [pid] for name, pid in product.parts().items()}, "all": [product.pid]}
    before = {name: machine.cpu_seconds(roots) for name, roots in parts.items()}
    began = time.monotonic()
    time.sleep(IDLE_SECONDS)
    passed = time.monotonic() - began
    used = {
        name: 100 * (machine.cpu_seconds(roots) - before[name]) / passed
        for name, roots in parts.items()
    }
    whole = used.pop("all")
    return whole, used

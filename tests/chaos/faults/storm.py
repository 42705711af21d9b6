"""Thousands of agents lose their connections at the same moment, again and again."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from e2e.product import ROOT

from bench.fleet import KEY_VARIABLE
from chaos.faults.fault import Fault
from chaos.faults.processes import kill
from chaos.stage import Size, Stage

AGENTS, STORMS = 4_000, 5  # 20,000 reconnects
BEAT_SECONDS = 5.0
ATTACH_SECONDS = 240.0
CAUSES = ("control-plane", "gateway")


def _storms(stage: Stage) -> None:
    """Each begins when all are attached again; beside them the ordinary work goes on."""
    with _fleet(stage) as attached:
        stage.wait(lambda: _times(attached) >= 1, "the fleet is attached", seconds=ATTACH_SECONDS)
        stage.wait_for_load(0.1, 0.2)
        for number in range(STORMS):
            cause = stage.random.choice(CAUSES)
            before = _times(attached)
            with stage.api_may_fail(after=ATTACH_SECONDS if cause == "gateway" else 1.0):
                kill(stage, cause)
            what = f"the fleet is attached after storm {number + 1} ({cause})"
            stage.wait(lambda: _times(attached) > before, what, seconds=ATTACH_SECONDS)  # noqa: B023
    stage.settle()


def _times(attached: Path) -> int:
    return len(attached.read_text().splitlines())


@contextmanager
def _fleet(stage: Stage) -> Generator[Path]:
    """Yields a file with one line for each time that all were attached."""
    attached = stage.directory / "fleet.out"
    address = stage.product.url.removeprefix("http://")
    with attached.open("wb") as out, (stage.directory / "fleet.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.fleet", address, str(AGENTS), str(BEAT_SECONDS)],
            cwd=ROOT,
            env={**os.environ, KEY_VARIABLE: stage.product.key},
            stdout=out,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield attached
    finally:
        process.kill()
        process.wait(10)


FAULTS = (
    Fault(
        name="storm-of-20000",
        about="4,000 agents more lose their connections at once, five times",
        run=_storms,
        own_product=True,
        size=Size(submits=1_500, rate=6.0, fleet=AGENTS),
    ),
)

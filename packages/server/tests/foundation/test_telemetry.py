"""Logs: what cannot be written is lost, and nothing else."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, structlog
from orchestra.foundation import telemetry
from orchestra.foundation.concurrency import Guard, forever
from orchestra.foundation.settings import Settings
from orchestra.processes import terminal

telemetry.configure("test", Settings())
calls, done = [], asyncio.Event()


async def step():
    calls.append(len(calls))
    if len(calls) < 3:
        raise ValueError("this is told")
    done.set()
    return 60


async def main():
    terminal.say("this, too")
    structlog.get_logger().warning("and this")
    async with Guard() as guard:
        guard.spawn("step", forever("step", step, retry_seconds=0))
        await asyncio.wait_for(done.wait(), 20)
    print("alive")


asyncio.run(main())
"""


def test_a_full_disk_below_the_logs_ends_no_work() -> None:
    """Periodic work that failed died of saying so, and runs of saying that they wait."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.stdout == "alive\n"

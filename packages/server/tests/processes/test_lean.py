"""A process starts without what its libraries would like to have, and can still have it."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("unwanted", ["rich", "aiohttp"])
def test_a_process_without_use_for_it_does_not_import_it(unwanted: str) -> None:
    script = f"""
from orchestra.processes.lean import import_lean
import_lean()
import structlog, nats, sys
assert {unwanted!r} not in sys.modules
import {unwanted}
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=15)

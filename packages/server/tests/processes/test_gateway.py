"""`orchestra gateway` alone, as in a container: before an api and a control plane elsewhere."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from orchestra.engines.address import accepts, loopback
from orchestra.engines.process import free_port
from orchestra.engines.testing import wait_until

Running = tuple[subprocess.Popen[bytes], int]


@pytest.fixture
def gateway(tmp_path: Path) -> Generator[Running]:
    port = free_port()
    ports = ("--http-port", str(port), "--https-port", str(free_port()))
    variables = {
        "ORCHESTRA_API_LISTEN": f"localhost:{free_port()}",
        "ORCHESTRA_CONTROL_PLANE_LISTEN": f"127.0.0.1:{free_port()}",
        "ORCHESTRA_DATA_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "orchestra.processes", "gateway", *ports]
    with subprocess.Popen(command, env={**os.environ, **variables}) as process:
        assert wait_until(lambda: accepts(loopback(port)), seconds=15)
        yield process, port
        process.kill()


def test_it_says_that_the_api_is_away(gateway: Running) -> None:
    _, port = gateway
    answer = httpx.get(f"http://localhost:{port}/api/me", timeout=15)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def test_it_is_envoy_itself_and_ends_on_a_signal(gateway: Running) -> None:
    process, _ = gateway
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0

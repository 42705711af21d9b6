"""The fleet of the storms comes back from connections that end as soon as they are made."""

import os
import socket
import struct
import subprocess
import sys

from e2e.product import ROOT

from bench.fleet import KEY_VARIABLE

AGENTS, REFUSED = 100, 400
RESET_AT_ONCE = struct.pack("ii", 1, 0)


def test_every_agent_connects_again_after_a_gateway_that_hung_up_on_all() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=AGENTS) as server:
        # Well before the twenty seconds after which an agent gives up what it has.
        server.settimeout(12)
        host, port = server.getsockname()
        fleet = subprocess.Popen(
            [sys.executable, "-m", "bench.fleet", f"{host}:{port}", str(AGENTS), "5"],
            cwd=ROOT,
            env={**os.environ, KEY_VARIABLE: "any"},
        )
        try:
            for _ in range(REFUSED):
                connection, _ = server.accept()
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
                connection.close()
            held = [server.accept()[0] for _ in range(AGENTS)]
        finally:
            fleet.kill()
            fleet.wait()
        for connection in held:
            connection.close()

"""NATS with JetStream for one machine: loopback only, one password, files on disk."""

import json
import signal
from dataclasses import dataclass
from pathlib import Path

from orchestra.engines.address import accepts, loopback
from orchestra.engines.binaries import nats_server
from orchestra.engines.process import Command, make_directory, write_private

USER = "orchestra"
GREETING = b"INFO "
LARGEST_MESSAGE = 8 * 1024 * 1024
# PostgreSQL is the truth and streams live a day, so a laptop's disk needs no more than this.
LARGEST_STORE = 10 * 1024**3


@dataclass(frozen=True, slots=True)
class Nats:
    """One local server: where it keeps its files, its port and the password of its only user."""

    directory: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        return f"nats://{USER}:{self.password}@127.0.0.1:{self.port}"

    @property
    def configuration(self) -> Path:
        return self.directory / "nats.conf"

    def command(self) -> Command:
        return Command(
            argv=(str(nats_server()), "--config", str(self.configuration)),
            directory=self.directory,
            death_signal=signal.SIGTERM,
        )

    def is_ready(self) -> bool:
        """It greets only after JetStream has recovered its streams."""
        return accepts(loopback(self.port), greeting=GREETING)


def prepare(directory: Path, *, port: int, password: str) -> Nats:
    """Writes the configuration. A store deleted while the server was down is made anew."""
    make_directory(directory)
    server = Nats(directory, port, password)
    # NATS reads JSON as its own format.
    write_private(server.configuration, json.dumps(_configuration(server), indent=2))
    return server


def _configuration(server: Nats) -> dict[str, object]:
    return {
        "server_name": "orchestra",
        "listen": f"127.0.0.1:{server.port}",
        "authorization": {"user": USER, "password": server.password},
        "max_payload": LARGEST_MESSAGE,
        "jetstream": {
            "store_dir": str(server.directory / "store"),
            "max_file_store": LARGEST_STORE,
            "max_memory_store": 64 * 1024 * 1024,
        },
    }

"""Where a program listens, `unix:<path>` or `<host>:<port>`, and whether it answers there."""

import socket
from dataclasses import dataclass
from pathlib import Path

from orchestra.engines.errors import EngineError

# Everything probed is on this machine or beside it: what takes longer is not ready.
PROBE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Address:
    """A listen address as the settings spell it; raises EngineError for any other text."""

    text: str

    def __post_init__(self) -> None:
        if not self.text.startswith("unix:") and not self.text.rpartition(":")[2].isdigit():
            raise EngineError(f"{self.text!r} is no address: use unix:<path> or <host>:<port>.")

    @property
    def socket_path(self) -> str | None:
        return self.text.removeprefix("unix:") if self.text.startswith("unix:") else None

    @property
    def socket_files(self) -> tuple[Path, ...]:
        """The file a server makes to listen here, if any."""
        return (Path(self.socket_path),) if self.socket_path else ()

    @property
    def host_and_port(self) -> tuple[str, int]:
        host, _, port = self.text.rpartition(":")
        return host.strip("[]"), int(port)

    def connect(self) -> socket.socket:
        """A connection with a short timeout; raises OSError."""
        if self.socket_path is None:
            return socket.create_connection(self.host_and_port, timeout=PROBE_SECONDS)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(PROBE_SECONDS)
            connection.connect(self.socket_path)
        except OSError:
            connection.close()
            raise
        return connection


def loopback(port: int) -> Address:
    return Address(f"127.0.0.1:{port}")


def accepts(address: Address, *, greeting: bytes = b"") -> bool:
    """Whether a server accepts connections and, if given, says `greeting` first."""
    try:
        with address.connect() as connection:
            return not greeting or connection.recv(len(greeting)) == greeting
    except OSError:
        return False


def answers(address: Address, *, path: str) -> bool:
    """Whether an HTTP server answers 200; no client library is worth its import here."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    try:
        with address.connect() as connection:
            connection.sendall(request)
            return b" 200 " in connection.recv(64)
    except OSError:
        return False

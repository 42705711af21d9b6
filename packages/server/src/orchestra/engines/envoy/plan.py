"""What the gateway is to do, as a value; the other files of this package say it in Envoy's words."""

from dataclasses import dataclass
from pathlib import Path

from orchestra.engines.certificates import Certificate
from orchestra.engines.errors import EngineError


@dataclass(frozen=True, slots=True)
class Door:
    """Where the gateway listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where one of our processes listens: `unix:<path>` or `<host>:<port>`."""

    address: str

    def __post_init__(self) -> None:
        if not self.address.startswith("unix:") and not self.address.rpartition(":")[2].isdigit():
            raise EngineError(f"{self.address!r} is no listen address: use unix:<path> or <host>:<port>.")

    @property
    def socket_path(self) -> str | None:
        return self.address.removeprefix("unix:") if self.address.startswith("unix:") else None

    @property
    def host_and_port(self) -> tuple[str, int]:
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Doors, upstreams and bounds of one gateway."""

    http: Door
    https: Door
    api: Upstream
    control_plane: Upstream
    certificate: Certificate
    admin_socket: Path
    access_log: Path
    max_request_bytes: int
    workers: int

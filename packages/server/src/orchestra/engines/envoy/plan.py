"""What the gateway is to do, as a value; the other files here say it in Envoy's words."""

from dataclasses import dataclass
from pathlib import Path

from orchestra.engines.address import Address
from orchestra.engines.certificates import Certificate


@dataclass(frozen=True, slots=True)
class Door:
    """Where the gateway listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Doors, upstreams and bounds of one gateway."""

    http: Door
    https: Door
    api: Address
    control_plane: Address
    certificate: Certificate
    admin_socket: Path
    access_log: Path
    max_request_bytes: int
    workers: int

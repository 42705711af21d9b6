"""What the gateway is to do, as a value; the other files here say it in Envoy's words."""

import functools
import socket
from dataclasses import dataclass
from pathlib import Path

from orchestra.engines.address import Address
from orchestra.engines.certificates import Certificate
from orchestra.engines.envoy.limits import RateLimit


@dataclass(frozen=True, slots=True)
class Door:
    """Where the gateway listens."""

    host: str
    port: int

    @property
    def addresses(self) -> tuple[str, ...]:
        """Loopback means both families, since `localhost` resolves to either."""
        if self.host not in {"127.0.0.1", "localhost"}:
            return (self.host,)
        return ("127.0.0.1", "::1") if _has_ipv6() else ("127.0.0.1",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Doors, upstreams and bounds of one gateway."""

    http: Door
    https: Door
    api: Address
    control_planes: tuple[Address, ...]
    certificate: Certificate
    admin_socket: Path
    access_log: Path
    max_request_bytes: int
    workers: int
    sign_ins: RateLimit | None = None
    submits: RateLimit | None = None


@functools.cache
def _has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback; many containers have none."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True

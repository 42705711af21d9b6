"""What the machine is using, as the heartbeat reports it."""

from pathlib import Path

import psutil
from orchestra_protocol import agent_pb2 as pb


class Resources:
    """Measures since it was made; shares are 0 to 1."""

    def __init__(self) -> None:
        psutil.cpu_percent(None)  # the first call only starts the measurement
        self._received, self._sent = _network()

    def measure(self) -> pb.ResourceMetrics:
        """Return the figures since the last call (processor) or since the start (network)."""
        received, sent = _network()
        return pb.ResourceMetrics(
            cpu_usage=psutil.cpu_percent(None) / 100,
            memory_usage=psutil.virtual_memory().percent / 100,
            disk_usage=psutil.disk_usage(str(Path.cwd())).percent / 100,
            network_bytes_in=received - self._received,
            network_bytes_out=sent - self._sent,
        )


def _network() -> tuple[int, int]:
    counters = psutil.net_io_counters(nowrap=True)
    return (counters.bytes_recv, counters.bytes_sent) if counters else (0, 0)

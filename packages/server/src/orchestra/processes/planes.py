"""The control planes of one machine: their names, and where each listens."""

from dataclasses import dataclass

from orchestra.foundation.settings import Settings

# Between the ports of two control planes that do not listen on sockets.
PORT_STEP = 100


@dataclass(frozen=True, slots=True)
class PlaneAddress:
    """`listen` is for the gateway, `probes` for whoever asks how it is."""

    name: str
    listen: str
    probes: str


def control_planes(settings: Settings) -> tuple[PlaneAddress, ...]:
    """As many as the settings say; a single one has the plain name and addresses."""
    listen, probes = settings.control_plane_listen, settings.control_plane_probe_listen
    if settings.control_planes == 1:
        return (PlaneAddress("control-plane", listen, probes),)
    return tuple(
        PlaneAddress(
            f"control-plane-{number}", _numbered(listen, number), _numbered(probes, number)
        )
        for number in range(1, settings.control_planes + 1)
    )


def _numbered(address: str, number: int) -> str:
    if address.startswith("unix:"):
        return f"{address.removesuffix('.sock')}-{number}.sock"
    host, _, port = address.rpartition(":")
    return f"{host}:{int(port) + PORT_STEP * (number - 1)}"

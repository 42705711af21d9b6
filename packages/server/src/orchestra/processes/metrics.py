"""`/metrics/{program}`: the numbers of the processes that have no door of their own to the network.

Prometheus needs one address and one credential for a whole machine: the api asks its neighbours.
"""

from typing import Any

import aiohttp
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from orchestra.foundation import telemetry
from orchestra.foundation.errors import NotFound, Unavailable
from orchestra.foundation.settings import Settings
from orchestra.processes import health
from orchestra.processes.planes import control_planes

ASK_SECONDS = 3.0


@get("/metrics/{program:str}", opt=health.PROBE, tags=["system"], media_type="text/plain")
async def metrics_of(
    program: FromPath[str], request: Request[Any, Any, Any], settings: NamedDependency[Settings]
) -> Response[bytes]:
    """Prometheus metrics of `control-plane` or `worker`, to whom `/metrics` is open."""
    await health.check_reader(request)
    addresses = {plane.name: plane.probes for plane in control_planes(settings)}
    addresses["worker"] = settings.worker_listen
    if program not in addresses:
        names = " and ".join(f"`{name}`" for name in addresses)
        raise NotFound(f"There are metrics of {names}.")
    text = await _ask(program, addresses[program])
    return Response(text, headers={"content-type": telemetry.METRICS_CONTENT_TYPE})


async def _ask(program: str, listen: str) -> bytes:
    """The operator's own address, so it does not go through `egress`; raises Unavailable."""
    host, connector = listen, None
    if listen.startswith("unix:"):
        host, connector = "localhost", aiohttp.UnixConnector(listen.removeprefix("unix:"))
    timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.get(f"http://{host}/metrics", allow_redirects=False) as answer,
        ):
            answer.raise_for_status()
            return await answer.read()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unavailable(f"The {program} does not answer.") from error


routes: list[ControllerRouterHandler] = [metrics_of]

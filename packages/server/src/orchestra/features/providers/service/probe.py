"""Asks a provider for its models: the test of a connection, and what the lists show."""

import msgspec
import structlog

from orchestra.features.providers.errors import ProviderFailed
from orchestra.features.providers.service import upstream
from orchestra.features.providers.types import Probe, Target
from orchestra.foundation import clock
from orchestra.foundation.egress import Egress, Timeouts
from orchestra.foundation.errors import OrchestraError

log = structlog.get_logger(__name__)

TIMEOUTS = Timeouts(connect=5, first_byte=10, between=10)
MAX_BYTES = 4 * 1024**2
MAX_MODELS = 1_000
MAX_NAME = 200


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


async def probe(egress: Egress, target: Target) -> Probe:
    """Lists the models once; a failure is told in words, not raised."""
    started = clock.monotonic()
    try:
        models, error = await _list_models(egress, target), None
    except OrchestraError as failed:
        models, error = list[str](), failed.message
    latency = (clock.monotonic() - started) * 1000
    return Probe(ok=error is None, latency_ms=latency, models=models, error=error)


async def _list_models(egress: Egress, target: Target) -> list[str]:
    wire = upstream.WIRES[target.kind]
    out = wire.models_request(target)
    reply = await egress.send("GET", out.url, headers=out.headers, timeouts=TIMEOUTS)
    async with reply:
        if reply.status == 404:
            raise ProviderFailed(f"There is no list of models at {out.url}; check the base URL.")
        if reply.status != 200:
            raise await upstream.failure(wire, reply)
        body = await reply.read(MAX_BYTES)
    try:
        found = msgspec.json.decode(body, type=_Models).data
    except msgspec.MsgspecError as error:
        raise ProviderFailed("The answer is no list of models; check the base URL.") from error
    names = [item.id for item in found if 0 < len(item.id) <= MAX_NAME and item.id.isprintable()]
    return sorted(set(names))[:MAX_MODELS]

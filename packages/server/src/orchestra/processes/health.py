"""Is this process alive, can it work, and how is it doing: `/health`, `/ready`, `/metrics`."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import nats.errors
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.types import ControllerRouterHandler

from orchestra.foundation import telemetry
from orchestra.foundation.auth import PUBLIC, Authenticator, Permission, require
from orchestra.foundation.database import Database
from orchestra.foundation.errors import OrchestraError, Unavailable
from orchestra.foundation.messaging import EVENTS, LOGS, METRICS, TASKS, Bus
from orchestra.foundation.web import credential_of, policy

CHECK_SECONDS = 2.0
OK = "ok"
JSON = b"application/json"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
# The gateway adds these to everything that it lets in.
GATEWAY_HEADERS = ("x-envoy-external-address", "x-forwarded-for", "x-forwarded-proto")

Check = Callable[[], Awaitable[None]]


class Readiness(NamedTuple):
    """What each part answered: `ok`, or what is the matter with it.

    `others` are parts without which most of the work goes on.
    """

    parts: Mapping[str, str]
    others: Mapping[str, str] = MappingProxyType({})

    @property
    def is_ready(self) -> bool:
        return all(state == OK for state in self.parts.values())

    def to_json(self) -> dict[str, Any]:
        return {"ready": self.is_ready, "parts": {**self.parts, **self.others}}


class Health:
    """Asks every part that this process needs. `is_draining` takes it out of the gateway.

    `others` are asked too, but a process without them stays in the gateway. `about` is what
    `/health` says of the process besides.
    """

    def __init__(
        self,
        database: Database,
        bus: Bus,
        others: Mapping[str, Check] | None = None,
        *,
        about: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.is_draining = False
        self.about = about
        self._others = others or {}
        self._checks: dict[str, Check] = {
            "postgresql": database.ping,
            "nats": lambda: _check_streams(bus),
        }

    async def readiness(self) -> Readiness:
        parts, others = await asyncio.gather(_states(self._checks), _states(self._others))
        if self.is_draining:
            parts["process"] = "is stopping"
        return Readiness(parts, others)


async def _states(checks: Mapping[str, Check]) -> dict[str, str]:
    states = await asyncio.gather(*(_state(check) for check in checks.values()))
    return dict(zip(checks, states, strict=True))


async def _state(check: Check) -> str:
    try:
        await asyncio.wait_for(check(), timeout=CHECK_SECONDS)
    except OrchestraError as error:
        return error.message
    except TimeoutError:
        return f"did not answer within {CHECK_SECONDS:g} s"
    return OK


async def _check_streams(bus: Bus) -> None:
    if not bus.is_connected:
        raise Unavailable("NATS does not answer")
    try:
        reply = await bus.client.request("$JS.API.STREAM.NAMES", b"", timeout=CHECK_SECONDS)
    except (OSError, nats.errors.Error, TimeoutError) as error:
        raise Unavailable("JetStream does not answer") from error
    found = set(json.loads(reply.data).get("streams") or ())
    if missing := {TASKS, EVENTS, METRICS, LOGS} - found:
        raise Unavailable(f"JetStream has no stream {', '.join(sorted(missing))}")


def probes(state: Health) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """An ASGI application for a process that has no other: `/health`, `/ready` and `/metrics`.

    It listens for its own machine only; the gateway does not lead here.
    """

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        status, kind, body = await _probe(state, scope["path"])
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return application


async def _probe(state: Health, path: str) -> tuple[int, bytes, bytes]:
    if path == "/metrics":
        return 200, telemetry.METRICS_CONTENT_TYPE.encode(), telemetry.render_metrics()
    if path == "/health":
        return 200, JSON, json.dumps({"status": OK, **state.about()}).encode()
    if path != "/ready":
        return 404, JSON, b"{}"
    answer = await state.readiness()
    return 200 if answer.is_ready else 503, JSON, json.dumps(answer.to_json()).encode()


PROBE = policy(PUBLIC, any_host=True)


@get("/health", opt=PROBE, tags=["system"])
async def health() -> dict[str, str]:
    """Whether this process is alive."""
    return {"status": OK}


@get("/ready", opt=PROBE, tags=["system"])
async def ready(health: NamedDependency[Health]) -> Response[dict[str, Any]]:
    """Whether it can work; if not, which part is missing."""
    state = await health.readiness()
    return Response(state.to_json(), status_code=200 if state.is_ready else 503)


@get("/metrics", opt=PROBE, tags=["system"], media_type="text/plain")
async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Prometheus metrics: for this machine, or with the permission `metrics:read`."""
    await check_reader(request)
    return Response(
        telemetry.render_metrics(), headers={"content-type": telemetry.METRICS_CONTENT_TYPE}
    )


async def check_reader(request: Request[Any, Any, Any]) -> None:
    """Raises unless it came from this machine, or its caller may read metrics."""
    if _is_local(request):
        return
    authenticator: Authenticator = request.app.state.authenticator
    actor = await authenticator.authenticate(credential_of(request))
    require(Permission.METRICS_READ).check(actor)


def _is_local(request: Request[Any, Any, Any]) -> bool:
    """Whether it came from this machine and past the gateway; a Unix socket has no client."""
    if any(header in request.headers for header in GATEWAY_HEADERS):
        return False
    client = request.client
    return client is None or not client.host or client.host in LOOPBACK


routes: list[ControllerRouterHandler] = [health, ready, metrics]

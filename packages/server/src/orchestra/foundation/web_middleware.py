"""Around every request: an id, log context, a trace span, the duration, and headers that protect
browsers.
"""

import re
import time

import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from orchestra.foundation import ids, telemetry

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        b"connect-src 'self'; font-src 'self'; object-src 'none'; base-uri 'none'; "
        b"form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
)


def request_context(app: ASGIApp) -> ASGIApp:
    """Litestar middleware; keep it cheap, it is on every request."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = _request_id(headers)
        telemetry.request_id.set(request_id)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started, status = time.perf_counter(), "500"

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
                message["headers"] = [
                    *message.get("headers", ()),
                    *SECURITY_HEADERS,
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            with telemetry.span(
                f"{scope['method']} {_route(scope)}", parent=_trace_parent(headers)
            ):
                await app(scope, receive, send_with_headers)
        finally:
            telemetry.REQUEST_DURATION.labels("api", scope["method"], status).observe(
                time.perf_counter() - started
            )
            structlog.contextvars.unbind_contextvars("request_id", "caller", "task_id")

    return wrapped


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"").decode("ascii", errors="replace")
    return given if _REQUEST_ID.fullmatch(given) else ids.short_id()


def _route(scope: Scope) -> str:
    return str(scope.get("path_template") or "unmatched")  # pyright: ignore[reportUnknownMemberType]


def _trace_parent(headers: dict[bytes, bytes]) -> dict[str, str] | None:
    parent = headers.get(b"traceparent")
    return {"traceparent": parent.decode("ascii", errors="replace")} if parent else None

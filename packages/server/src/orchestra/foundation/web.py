"""The HTTP door: policies, problem details, request ids, hosts, cross-site protection, paging.

Features bring routes whose `opt` holds a policy (`policy(require(...))`); `create_app` refuses one
without. Envoy stands before this: TLS, limits and compression are its business.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Generic, TypeVar, cast
from urllib.parse import urlsplit

import msgspec
import structlog
from litestar import Litestar, Request, Response
from litestar.config.app import AppConfig
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import (
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.types import ControllerRouterHandler, LifespanHook

from orchestra.foundation import telemetry
from orchestra.foundation.auth import PUBLIC, Actor, Authenticator, Credential, Policy
from orchestra.foundation.errors import (
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    OrchestraError,
    Unauthenticated,
)
from orchestra.foundation.settings import Settings
from orchestra.foundation.web_bodies import JsonRequest
from orchestra.foundation.web_dependencies import resolve_one_by_one
from orchestra.foundation.web_middleware import request_context
from orchestra.foundation.web_paging import decode_cursor, encode_cursor, page_limit

log = structlog.get_logger(__name__)

SESSION_COOKIE = "__Host-orchestra"
PROBLEM_TYPE = "application/problem+json"
ANY_TYPE = "*/*"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

T = TypeVar("T")


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of what requests carry: an unknown field is refused with 422."""


class View(msgspec.Struct, kw_only=True):
    """Base of what answers carry."""


class Page(msgspec.Struct, Generic[T], kw_only=True):
    """One page of a list; `next_cursor` is None on the last."""

    items: list[T]
    next_cursor: str | None = None


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Problem details (RFC 9457) with a stable `code` for programs."""

    title: str
    status: int
    detail: str
    code: str
    type: str = "about:blank"
    request_id: str = ""
    errors: list[dict[str, str]] = msgspec.field(default_factory=list[dict[str, str]])


class MisdirectedHost(OrchestraError):
    """This host name is not served here; the setting allowed_hosts can add it."""

    code: ClassVar[str] = "unknown_host"
    status: ClassVar[HTTPStatus] = HTTPStatus.MISDIRECTED_REQUEST


class UnsupportedMediaType(OrchestraError):
    """Send the body as application/json."""

    code: ClassVar[str] = "unsupported_media_type"
    status: ClassVar[HTTPStatus] = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def policy(value: Policy, **more: Any) -> dict[str, Any]:
    """The `opt` of a route: `@get("/api/tasks", opt=policy(require(Permission.TASKS_READ)))`.

    `accepts="multipart/form-data"` allows another content type than JSON, `*/*` any; a browser asks
    before it sends one of these to another site.
    """
    return {"policy": value, **more}


def create_app(
    routes: Sequence[ControllerRouterHandler],
    *,
    settings: Settings,
    authenticator: Authenticator,
    dependencies: Mapping[str, Any],
    lifespan: Sequence[Any] = (),
    on_startup: Sequence[LifespanHook] = (),
    exception_handlers: Mapping[int | type[Exception], Callable[..., Response[Any]]] | None = None,
) -> Litestar:
    """An application of `routes`; each of `dependencies` is a value that handlers take by its name.

    Raises RuntimeError if a route has no policy.
    """
    handlers: dict[
        int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[Any]]
    ] = {
        OrchestraError: on_orchestra_error,
        HTTPException: _on_any_error,
        Exception: _on_any_error,
        **(exception_handlers or {}),
    }
    app = Litestar(
        route_handlers=list(routes),
        guards=[_guard],
        dependencies={
            "actor": Provide(_provide_actor, sync_to_thread=False),
            **{name: _provide(value) for name, value in dependencies.items()},
        },
        middleware=[request_context],
        exception_handlers=handlers,
        lifespan=list(lifespan),
        on_startup=list(on_startup),
        state=State(
            {
                "authenticator": authenticator,
                "settings": settings,
                "hosts": _allowed_hosts(settings),
            }
        ),
        openapi_config=OpenAPIConfig(
            title="AI Orchestra",
            version="2.0.0",
            path="/api/schema",
            render_plugins=[],
            use_handler_docstrings=True,
            operation_id_creator=_operation_id,
        ),
        request_class=JsonRequest,
        request_max_body_size=settings.max_request_bytes,
        on_app_init=[_without_debug],
        logging_config=None,
    )
    resolve_one_by_one(app)
    _refuse_unguarded(app)
    return app


def credential_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Credential:
    """What the caller presented: a bearer token or our session cookie."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return Credential(
        bearer=token.strip() or None if scheme.lower() == "bearer" else None,
        cookie=connection.cookies.get(SESSION_COOKIE) or None,
        ip=client_ip(connection),
        user_agent=connection.headers.get("user-agent", "")[:300],
    )


def client_ip(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The peer as the gateway saw it; the gateway drops what callers claim themselves."""
    return connection.headers.get("x-envoy-external-address") or connection.headers.get(
        "x-real-ip", ""
    )


def problem_response(
    problem: Problem, headers: Mapping[str, str] | None = None
) -> Response[Problem]:
    return Response(
        problem, status_code=problem.status, media_type=PROBLEM_TYPE, headers=dict(headers or {})
    )


def on_orchestra_error(
    _request: Request[Any, Any, Any], error: OrchestraError
) -> Response[Problem]:
    """An expected failure as problem details."""
    headers = (
        {} if error.retry_after is None else {"Retry-After": str(max(1, round(error.retry_after)))}
    )
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return problem_response(
        Problem(
            title=error.status.phrase,
            status=error.status,
            detail=error.message,
            code=error.code,
            request_id=telemetry.request_id.get(),
            errors=[{"field": item.field, "message": item.message} for item in error.fields],
        ),
        headers,
    )


async def _guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    if not handler.opt.get("any_host"):  # probes name an address that nobody can foresee
        _check_host(connection)
    rule: Policy = handler.opt["policy"]
    if _is_unsafe(connection):
        _check_content_type(connection, handler.opt.get("accepts", "application/json"))
    if rule.is_public:
        _check_origin(connection)
        return
    credential = credential_of(connection)
    if credential.bearer is None:
        _check_origin(connection)
    authenticator: Authenticator = connection.app.state.authenticator
    actor = await authenticator.authenticate(credential)
    connection.scope["user"] = actor
    telemetry.bind(caller=f"{actor.kind}:{actor.id}")
    rule.check(actor)


def _is_unsafe(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    return cast("dict[str, Any]", connection.scope).get("method") not in SAFE_METHODS


def _check_host(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    host = urlsplit(f"//{connection.headers.get('host', '')}").hostname or ""
    if host.lower() not in connection.app.state.hosts:
        raise MisdirectedHost


def _check_content_type(connection: ASGIConnection[Any, Any, Any, Any], wanted: str) -> None:
    has_body = (
        connection.headers.get("content-length", "0") != "0"
        or "transfer-encoding" in connection.headers
    )
    given = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if (has_body or given) and wanted not in (given, ANY_TYPE):
        raise UnsupportedMediaType(f"Send the body as {wanted}.")


def _check_origin(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Refuses another site's unsafe request: `Sec-Fetch-Site` where the browser sends it, then
    `Origin`.
    """
    if not _is_unsafe(connection):
        return
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        if site not in {"same-origin", "none"}:
            raise Forbidden("Another site may not do this in your name.")
        return
    origin = connection.headers.get("origin")
    if (
        origin is not None
        and urlsplit(origin).netloc.lower() != connection.headers.get("host", "").lower()
    ):
        raise Forbidden("Another site may not do this in your name.")


def _allowed_hosts(settings: Settings) -> frozenset[str]:
    named = {urlsplit(settings.base_url).hostname or "", *settings.allowed_hosts}
    return frozenset({"localhost", "127.0.0.1", "::1", *(name.lower() for name in named if name)})


def _provide_actor(request: Request[Any, Any, Any]) -> Actor:
    return request.user


def _provide(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False, use_cache=True)


def as_orchestra_error(request: Request[Any, Any, Any], error: Exception) -> OrchestraError:
    """Any exception as one that can be shown; what nobody foresaw is logged and says nothing."""
    if isinstance(error, OrchestraError):
        return error
    if isinstance(error, RecursionError):
        return InvalidInput("The body is nested too deeply.")
    if isinstance(error, HTTPException) and not isinstance(error, InternalServerException):
        return _translate(error)
    log.error("request failed", path=request.url.path, method=request.method, exc_info=error)
    return OrchestraError("This failed on our side; the request id helps to find out why.")


def _on_any_error(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    return on_orchestra_error(request, as_orchestra_error(request, error))


def _translate(error: HTTPException) -> OrchestraError:
    if isinstance(error, ValidationException):
        mistakes = cast("list[dict[str, Any]]", error.extra or [])
        fields = [
            FieldError(str(item.get("key", "")), str(item.get("message", ""))) for item in mistakes
        ]
        return InvalidInput(
            "; ".join(f"{item.field}: {item.message}" for item in fields) or error.detail,
            fields=fields,
        )
    if isinstance(error, NotFoundException):
        return NotFound("There is nothing at this address.")
    if isinstance(error, MethodNotAllowedException):
        return _with_status(
            "This address does not know that method.", "method_not_allowed", error.status_code
        )
    return _with_status(
        error.detail or HTTPStatus(error.status_code).phrase, "bad_request", error.status_code
    )


def _with_status(message: str, code: str, status: int) -> OrchestraError:
    kind = type(
        "RefusedByFramework", (OrchestraError,), {"code": code, "status": HTTPStatus(status)}
    )
    return kind(message)


def _refuse_unguarded(app: Litestar) -> None:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", [getattr(route, "route_handler", None)]):
            if handler is None or route.path.startswith("/api/schema"):
                continue
            if handler.opt.get("policy") is None and "OPTIONS" not in getattr(
                handler, "http_methods", ()
            ):
                raise RuntimeError(f"{route.path} has no policy")


def _operation_id(handler: HTTPRouteHandler, _method: Any, _path: Any) -> str:
    """The handler's name: clients generated from the description read like our own code."""
    return handler.handler_name


def _without_debug(config: AppConfig) -> AppConfig:
    config.debug = False
    return config


__all__ = [
    "PUBLIC",
    "SESSION_COOKIE",
    "Body",
    "Page",
    "Problem",
    "View",
    "as_orchestra_error",
    "client_ip",
    "create_app",
    "credential_of",
    "decode_cursor",
    "encode_cursor",
    "on_orchestra_error",
    "page_limit",
    "policy",
    "problem_response",
]

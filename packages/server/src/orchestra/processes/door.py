"""The outermost layer of the api: what is a file, what is an API call, what stays open.

A feed leaves the framework once its answer has begun, so that an idle reader keeps nothing of its
request in memory; and whatever answers, also 404 and 405, carries the protective headers.
"""

from typing import Any

from orchestra.features.events import HANDOVER
from orchestra.foundation import ids
from orchestra.foundation.web_middleware import SECURITY_HEADERS
from orchestra.processes.static import Send, StaticSite

API_PREFIXES = ("/api/", "/v1/", "/metrics/")
# Pages of the framework, which have no policy; the description is at /api/openapi.json.
HIDDEN_PREFIX = "/api/schema"
API_PATHS = frozenset({"/api", "/v1", "/health", "/ready", "/metrics"})
REQUEST_ID = b"x-request-id"


class Door:
    """An ASGI application around the framework's."""

    def __init__(self, application: Any, site: StaticSite) -> None:
        self._application = application
        self._site = site

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        path: str = scope["path"]
        if path.startswith(HIDDEN_PREFIX):
            await self._site.not_found(scope, _protected(send))
            return
        is_api = path.startswith(API_PREFIXES) or path in API_PATHS
        if not is_api and scope["method"] in {"GET", "HEAD"}:
            await self._site(scope, receive, _protected(send))
            return
        handed_over: list[Any] = []
        scope[HANDOVER] = handed_over
        await self._application(scope, receive, _protected(send))
        if handed_over:
            scope.clear()
            await handed_over.pop().run(receive, send)


def _protected(send: Send) -> Send:
    async def send_protected(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = message.get("headers", ())
            # The framework's own middleware has added them already wherever a route was found.
            if not any(name == REQUEST_ID for name, _ in headers):
                request_id = (REQUEST_ID, ids.short_id().encode())
                message["headers"] = [*headers, *SECURITY_HEADERS, request_id]
        await send(message)

    return send_protected

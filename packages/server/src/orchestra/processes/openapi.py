"""The description of the REST API (OpenAPI 3.1), made from the routes; committed as a document.

It is built when somebody asks for it: most processes are never asked, and it takes half a second.
"""

import asyncio
import json
import re
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from orchestra.foundation.auth import PUBLIC, Policy
from orchestra.foundation.web import PROBLEM_TYPE, SESSION_COOKIE, policy

Fields = dict[str, Any]

METHODS = ("get", "post", "put", "patch", "delete")
SECURITY: Fields = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
}
PROBLEM: Fields = {
    "type": "object",
    "description": "Problem details (RFC 9457); `code` is for programs and does not change.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "detail", "code", "request_id")},
        "status": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
REFUSED: Fields = {
    "description": "Refused, or failed; `code` says why.",
    "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
# Generic pages are named after where their items are defined; readers want `PageOfTaskView`.
_PAGE_NAME = re.compile(r"Page_[a-z_.]+\.(\w+)_(?=\")")


def document(app: Litestar) -> Fields:
    """The description of an application's routes."""
    schema = app.openapi_schema.to_schema()
    schema["components"]["schemas"]["Problem"] = PROBLEM
    schema["components"]["securitySchemes"] = SECURITY
    policies = _policies(app)
    for path, operations in schema["paths"].items():
        for method in METHODS:
            if method in operations:
                _complete(operations[method], policies[path, method])
    return json.loads(_PAGE_NAME.sub(r"PageOf\1", json.dumps(schema)))


def render(app: Litestar) -> str:
    """As it is committed: sorted, so that a change shows as what it is."""
    return json.dumps(document(app), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def route() -> HTTPRouteHandler:
    """`GET /api/openapi.json`."""
    made: list[bytes] = []
    making = asyncio.Lock()

    @get("/api/openapi.json", opt=policy(PUBLIC), include_in_schema=False)
    async def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
        async with making:
            if not made:
                made.append((await asyncio.to_thread(render, request.app)).encode())
        return Response(made[0], media_type="application/json")

    return openapi_json


def _policies(app: Litestar) -> dict[tuple[str, str], Policy]:
    return {
        (route.path_format, method.lower()): handler.opt["policy"]
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if "policy" in handler.opt
        for method in handler.http_methods
    }


def _complete(operation: Fields, rule: Policy) -> None:
    """Says how it fails, which credential it takes, and which permission it needs."""
    operation["responses"].pop("400", None)
    operation["responses"]["default"] = REFUSED
    operation["security"] = [] if rule.is_public else [{"session": []}, {"key": []}]
    if rule.permission is not None:
        operation["x-permission"] = rule.permission

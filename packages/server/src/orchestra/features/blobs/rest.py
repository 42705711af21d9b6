"""Blobs over REST, for people and for runs with their own credential."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from litestar import Request, Response, get, put
from litestar.di import NamedDependency
from litestar.exceptions import InternalServerException
from litestar.params import FromPath, HeaderParameter, QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from orchestra.features.blobs.errors import BrokenOff
from orchestra.features.blobs.schemas import BlobView, blob_view
from orchestra.features.blobs.service import reading
from orchestra.features.blobs.service.storing import ANY_TYPE, Announced, Storing
from orchestra.features.blobs.types import Span
from orchestra.foundation.auth import SIGNED_IN, Actor, ActorKind, Permission, require
from orchestra.foundation.database import Database
from orchestra.foundation.settings import Settings
from orchestra.foundation.web import policy

AnyRequest = Request[Any, Any, Any]
ActorArg = NamedDependency[Actor]
DatabaseArg = NamedDependency[Database]
RangeHeader = Annotated[str | None, HeaderParameter(name="Range", max_length=200)]
IfNoneMatch = Annotated[str | None, HeaderParameter(name="If-None-Match", max_length=2_000)]
Expected = Annotated[str | None, QueryParameter(name="sha256")]
ROOT = "/api/blobs"
# Between two pieces of a body.
PATIENCE_SECONDS = 60.0


@put(
    ROOT,
    opt=policy(SIGNED_IN, accepts="*/*"),
    status_code=201,
    request_max_body_size=None,
    tags=["blobs"],
)
async def put_blob(
    request: AnyRequest,
    actor: ActorArg,
    database: DatabaseArg,
    settings: NamedDependency[Settings],
    expected: Expected = None,
) -> BlobView:
    """Takes the body as it comes, of any type; with `sha256` only that content."""
    _check(actor, Permission.TASKS_WRITE)
    length = request.headers.get("content-length", "")
    announced = Announced(
        media_type=request.headers.get("content-type", "").lower() or ANY_TYPE,
        size=int(length) if length.isdecimal() else None,
        sha256=expected,
    )
    stored = await Storing(database, settings).store(actor, announced, _body(request))
    return blob_view(stored)


@get(f"{ROOT}/{{sha256:str}}", opt=policy(SIGNED_IN), tags=["blobs"])
async def get_blob(
    sha256: FromPath[str],
    actor: ActorArg,
    database: DatabaseArg,
    range_header: RangeHeader = None,
    if_none_match: IfNoneMatch = None,
) -> Response[Any]:
    """The content, or the range of it that is asked for."""
    _check(actor, Permission.TASKS_READ)
    async with database.transaction() as tx:
        blob = await reading.readable(tx, actor, sha256)
    headers = {
        "etag": f'"{blob.sha256}"',
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=31536000, immutable",
        # Whatever somebody has uploaded, no browser takes it for a page of ours.
        "content-disposition": "attachment",
    }
    if if_none_match and headers["etag"] in if_none_match:
        return Response(b"", status_code=304, headers=headers)
    part = reading.asked_span(range_header, blob.size)
    span = part or Span(0, blob.size)
    headers["content-length"] = str(span.size)
    if part is not None:
        headers["content-range"] = f"bytes {part.start}-{part.end - 1}/{blob.size}"
    return Stream(
        reading.content(database, blob, span),
        status_code=200 if part is None else 206,
        media_type=blob.media_type,
        headers=headers,
    )


async def _body(request: AnyRequest) -> AsyncIterator[bytes]:
    """What arrives; raises BrokenOff when the sender has gone, or says nothing for too long."""
    arriving = request.stream()
    while True:
        try:
            piece = await asyncio.wait_for(anext(arriving), PATIENCE_SECONDS)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise BrokenOff(f"Nothing has arrived for {PATIENCE_SECONDS:g} s.") from error
        except InternalServerException as error:  # so the framework says that the client has gone
            raise BrokenOff from error
        yield piece


def _check(actor: Actor, permission: Permission) -> None:
    """A run may, within its task; whoever else needs the permission for tasks."""
    if actor.kind is not ActorKind.RUN:
        require(permission).check(actor)


routes: list[ControllerRouterHandler] = [put_blob, get_blob]

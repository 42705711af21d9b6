"""Blobs over REST, for people and for runs with their own credential."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, delete, get, put
from litestar.di import NamedDependency
from litestar.exceptions import InternalServerException
from litestar.params import FromPath, FromQuery, HeaderParameter, QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from orchestra.features.blobs.errors import BrokenOff
from orchestra.features.blobs.repository.reading import Before
from orchestra.features.blobs.schemas import (
    BlobDetail,
    BlobView,
    OwnedBlobView,
    blob_view,
    detail_view,
    owned_view,
)
from orchestra.features.blobs.service import managing, reading
from orchestra.features.blobs.service.storing import ANY_TYPE, Announced, Storing
from orchestra.features.blobs.types import Span
from orchestra.foundation.auth import SIGNED_IN, Actor, ActorKind, Permission, require
from orchestra.foundation.database import Database
from orchestra.foundation.errors import InvalidInput
from orchestra.foundation.settings import Settings
from orchestra.foundation.web import Page, decode_cursor, encode_cursor, page_limit, policy

AnyRequest = Request[Any, Any, Any]
ActorArg = NamedDependency[Actor]
DatabaseArg = NamedDependency[Database]
SettingsArg = NamedDependency[Settings]
RangeHeader = Annotated[str | None, HeaderParameter(name="Range", max_length=200)]
IfNoneMatch = Annotated[str | None, HeaderParameter(name="If-None-Match", max_length=2_000)]
Expected = Annotated[str | None, QueryParameter(name="sha256")]
ROOT = "/api/blobs"
ONE = f"{ROOT}/{{sha256:str}}"
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
    settings: SettingsArg,
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


@get(ROOT, opt=policy(require(Permission.TASKS_READ)), tags=["blobs"])
async def list_blobs(
    actor: ActorArg,
    database: DatabaseArg,
    settings: SettingsArg,
    limit: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
    everybody: FromQuery[bool] = False,
) -> Page[OwnedBlobView]:
    """What you have brought (administrators, with `everybody`: what anybody has), newest first."""
    size = page_limit(limit)
    before = _before(cursor) if cursor else None
    async with database.transaction() as tx:
        found = await managing.find(
            tx, actor, settings, everybody=everybody, before=before, size=size
        )
    items = found[:size]
    more = None
    if len(found) > size:
        last = items[-1]
        more = encode_cursor(last.created_at.isoformat(), last.sha256, str(last.user_id))
    return Page(items=[owned_view(item) for item in items], next_cursor=more)


@get(f"{ONE}/metadata", opt=policy(SIGNED_IN), tags=["blobs"])
async def describe_blob(
    sha256: FromPath[str], actor: ActorArg, database: DatabaseArg, settings: SettingsArg
) -> BlobDetail:
    """What is known of it without its content."""
    _check(actor, Permission.TASKS_READ)
    async with database.transaction() as tx:
        return detail_view(await managing.describe(tx, actor, settings, sha256))


@delete(ONE, opt=policy(SIGNED_IN), tags=["blobs"])
async def delete_blob(sha256: FromPath[str], actor: ActorArg, database: DatabaseArg) -> None:
    """Takes back what you have brought, unless one of your tasks refers to it.

    An administrator also removes what others have brought. A run takes back what it has brought
    itself.
    """
    _check(actor, Permission.TASKS_WRITE)
    async with database.transaction() as tx:
        await managing.delete(tx, actor, sha256)


@get(ONE, opt=policy(SIGNED_IN), tags=["blobs"])
async def get_blob(
    sha256: FromPath[str],
    actor: ActorArg,
    database: DatabaseArg,
    settings: SettingsArg,
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
        await reading.content(database, settings, blob, span),
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


def _before(cursor: str) -> Before:
    """The row that a page begins after; raises InvalidInput."""
    created_at, sha256, user_id = decode_cursor(cursor, datetime, str, UUID)
    if not reading.is_name(sha256):
        raise InvalidInput("The cursor is not one of ours.")
    return Before(created_at, sha256, user_id)


def _check(actor: Actor, permission: Permission) -> None:
    """A run may, within its task; whoever else needs the permission for tasks."""
    if actor.kind is not ActorKind.RUN:
        require(permission).check(actor)


routes: list[ControllerRouterHandler] = [
    put_blob,
    list_blobs,
    get_blob,
    describe_blob,
    delete_blob,
]

"""Gives a blob out, whole or a part of it, a few megabytes at a time."""

import hashlib
import re
from collections.abc import AsyncIterator

import structlog

from orchestra.features.blobs.errors import BlobDamaged, BlobNotFound, RangeNotSatisfiable
from orchestra.features.blobs.repository import reading as repository
from orchestra.features.blobs.repository import uploads
from orchestra.features.blobs.repository.reading import Reader
from orchestra.features.blobs.service import stores
from orchestra.features.blobs.types import CHUNK_BYTES, Blob, Sha256, Span
from orchestra.foundation.auth import Actor, ActorKind
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.object_places import Place
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

# One request to S3 for so much.
READ_BYTES = 4 * CHUNK_BYTES
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


async def readable(tx: Transaction, actor: Actor, name: str) -> Blob:
    """Raises BlobNotFound for a blob that the actor may not see."""
    if not is_name(name):
        raise BlobNotFound
    reader = Reader(
        user_id=actor.owner,
        is_admin=actor.is_admin,
        task_id=actor.task_id if actor.kind is ActorKind.RUN else None,
    )
    blob = await repository.readable(tx, Sha256(name), reader)
    if blob is None:
        raise BlobNotFound
    return blob


def is_name(text: str) -> bool:
    """Whether a blob may be called so."""
    return _SHA256.fullmatch(text) is not None


async def content(
    database: Database, settings: Settings, blob: Blob, span: Span
) -> AsyncIterator[bytes]:
    """The bytes of a part, of which the first have been read: what is wrong there is raised here.

    Later it is raised while they are read: BlobNotFound if the blob is swept away meanwhile,
    ObjectStoreFailed, or BlobDamaged before the last bytes of a whole blob.
    """
    pieces = (
        _chunks(database, blob, span)
        if blob.place is None
        else _parts(settings, blob, blob.place, span)
    )
    first = await anext(pieces, b"")

    async def resumed() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return resumed()


async def _chunks(database: Database, blob: Blob, span: Span) -> AsyncIterator[bytes]:
    position = span.start // CHUNK_BYTES
    while position * CHUNK_BYTES < span.end:
        chunk = await uploads.chunk(database, blob.upload_id, position)
        if chunk is None:
            raise BlobNotFound
        base = position * CHUNK_BYTES
        yield chunk[max(0, span.start - base) : span.end - base]
        position += 1


async def _parts(settings: Settings, blob: Blob, place: Place, span: Span) -> AsyncIterator[bytes]:
    """Each a request of its own, so that a slow reader keeps no connection to S3."""
    objects = stores.objects(settings)
    digest = hashlib.sha256() if span == Span(0, blob.size) else None
    for start in range(span.start, span.end, READ_BYTES):
        end = min(start + READ_BYTES, span.end)
        with stores.told(place):
            piece = await objects.read(place, start, end)
        if digest is not None:
            digest.update(piece)
            if end == blob.size and digest.hexdigest() != blob.sha256:
                log.error("an object is not what was stored", place=place, blob=blob.sha256)
                raise BlobDamaged
        # The HTTP server holds some of what it is given, by number and not by size.
        for offset in range(0, len(piece), CHUNK_BYTES):
            yield piece[offset : offset + CHUNK_BYTES]


def asked_span(header: str | None, size: int) -> Span | None:
    """What a Range header asks for (RFC 9110, 14.2); None for the whole.

    Several ranges are answered with the whole, as is what cannot be understood. Raises
    RangeNotSatisfiable.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:  # so many of the last bytes
        span = Span(max(0, size - int(last)), size)
    else:
        span = Span(int(first), min(size, int(last) + 1) if last else size)
    if last and first and int(last) < int(first):
        return None
    if span.start >= size or span.size <= 0:
        raise RangeNotSatisfiable(f"The blob has {size} bytes.")
    return span

"""Gives a blob out, whole or a part of it, a chunk at a time."""

import re
from collections.abc import AsyncIterator

from orchestra.features.blobs import repository
from orchestra.features.blobs.errors import BlobNotFound, RangeNotSatisfiable
from orchestra.features.blobs.repository import Reader
from orchestra.features.blobs.types import CHUNK_BYTES, Blob, Sha256, Span
from orchestra.foundation.auth import Actor, ActorKind
from orchestra.foundation.database import Database, Transaction

_SHA256 = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


async def readable(tx: Transaction, actor: Actor, name: str) -> Blob:
    """Raises BlobNotFound for a blob that the actor may not see."""
    if not _SHA256.fullmatch(name):
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


async def content(database: Database, blob: Blob, span: Span) -> AsyncIterator[bytes]:
    """The bytes of a part; raises BlobNotFound if the blob is swept away meanwhile."""
    position = span.start // CHUNK_BYTES
    while position * CHUNK_BYTES < span.end:
        chunk = await repository.chunk(database, blob.upload_id, position)
        if chunk is None:
            raise BlobNotFound
        base = position * CHUNK_BYTES
        yield chunk[max(0, span.start - base) : span.end - base]
        position += 1


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

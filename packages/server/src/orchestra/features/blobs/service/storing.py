"""Takes a blob in: chunk by chunk, each a transaction of its own, with a running SHA-256.

An upload becomes a blob in its last transaction. One that breaks off leaves chunks that nobody can
see; what is not heard of any more is swept away.
"""

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from orchestra.features.blobs import repository
from orchestra.features.blobs.errors import BlobMismatch, BlobTooLarge, QuotaExceeded
from orchestra.features.blobs.types import CHUNK_BYTES, Blob, Sha256, UploadId
from orchestra.foundation import ids
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import FieldError, InvalidInput, Unavailable
from orchestra.foundation.settings import Settings

ANY_TYPE = "application/octet-stream"
_MEDIA_TYPE = re.compile(
    r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}(; ?charset=[\w-]{1,30})?"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
# How often a race with the sweeper or with another upload of the same content may be lost.
ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What the sender says before the content: raises InvalidInput when it makes no sense."""

    media_type: str = ANY_TYPE
    size: int | None = None
    sha256: str | None = None

    def check(self, limit: int) -> None:
        if not _MEDIA_TYPE.fullmatch(self.media_type):
            raise _bad("content-type", "not a media type such as application/pdf")
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise _bad("sha256", "64 hexadecimal digits in lower case")
        if self.size is not None and self.size > limit:
            raise _too_large(limit)


class Storing:
    """One for each process that takes blobs in."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def store(
        self, actor: Actor, announced: Announced, content: AsyncIterator[bytes]
    ) -> Blob:
        """Raises BlobTooLarge, QuotaExceeded, BlobMismatch, InvalidInput or Unavailable."""
        announced.check(self._settings.max_blob_bytes)
        upload_id = UploadId(ids.new_id())
        async with self._database.transaction() as tx:
            await self._check_quota(tx, actor, announced.size or 0)
            await repository.begin(tx, upload_id)
        try:
            sha256, size = await self._receive(upload_id, content)
            if announced.sha256 not in (None, sha256):
                raise BlobMismatch(f"The content's SHA-256 is {sha256}.")
            return await self._finish(actor, announced, upload_id, (sha256, size))
        except Exception:
            async with self._database.transaction() as tx:
                await repository.drop(tx, upload_id)
            raise

    async def _receive(
        self, upload_id: UploadId, content: AsyncIterator[bytes]
    ) -> tuple[Sha256, int]:
        digest, size, position = hashlib.sha256(), 0, 0
        async for piece in chunked(content):
            size += len(piece)
            if size > self._settings.max_blob_bytes:
                raise _too_large(self._settings.max_blob_bytes)
            digest.update(piece)
            async with self._database.transaction() as tx:
                await repository.add_chunk(tx, upload_id, position=position, content=piece)
            position += 1
        return Sha256(digest.hexdigest()), size

    async def _finish(
        self, actor: Actor, announced: Announced, upload_id: UploadId, found: tuple[Sha256, int]
    ) -> Blob:
        sha256, size = found
        async with self._database.transaction() as tx:
            await self._check_quota(tx, actor, size)
            kept = await _keep(tx, upload_id, sha256, size=size)
            await repository.own(
                tx,
                sha256,
                user_id=actor.owner,
                task_id=actor.task_id,
                media_type=announced.media_type,
            )
        return Blob(sha256=sha256, upload_id=kept, size=size, media_type=announced.media_type)

    async def _check_quota(self, tx: Transaction, actor: Actor, size: int) -> None:
        limit = self._settings.max_user_blob_bytes
        if await repository.bytes_of(tx, actor.owner) + size > limit:
            raise QuotaExceeded(f"Blobs of one person may have {limit} bytes together.")


async def _keep(tx: Transaction, upload_id: UploadId, sha256: Sha256, *, size: int) -> UploadId:
    """The upload that has this content from now on: an earlier one if there is one."""
    for _ in range(ATTEMPTS):
        earlier = await repository.adopt(tx, sha256)
        if earlier is not None:
            await repository.drop(tx, upload_id)
            return earlier
        if await repository.complete(tx, upload_id, sha256, size=size):
            return upload_id
    raise Unavailable("Others store the same content at this moment.", retry_after=1)


async def chunked(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in chunks of `CHUNK_BYTES`, the last one shorter; at most one is held."""
    held = bytearray()
    async for piece in content:
        rest = memoryview(piece)
        while len(rest):
            taken = min(CHUNK_BYTES - len(held), len(rest))
            held += rest[:taken]
            rest = rest[taken:]
            if len(held) == CHUNK_BYTES:
                yield bytes(held)
                held.clear()
    if held:
        yield bytes(held)


def _too_large(limit: int) -> BlobTooLarge:
    return BlobTooLarge(f"A blob may have {limit} bytes.")


def _bad(field: str, message: str) -> InvalidInput:
    return InvalidInput(f"{field}: {message}", fields=[FieldError(field, message)])

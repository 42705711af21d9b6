"""Takes a blob in as it comes, with a running SHA-256: into chunks, each a transaction of its own,
or into an object.

An upload becomes a blob in its last transaction. One that breaks off leaves what nobody can see;
what is not heard of any more is swept away.
"""

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from orchestra.features.blobs.errors import BlobMismatch, BlobTooLarge, QuotaExceeded
from orchestra.features.blobs.repository import uploads as repository
from orchestra.features.blobs.service import stores
from orchestra.features.blobs.types import CHUNK_BYTES, Blob, Sha256, UploadId
from orchestra.foundation import clock, ids
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import FieldError, InvalidInput, Unavailable
from orchestra.foundation.object_places import Place
from orchestra.foundation.settings import Settings

ANY_TYPE = "application/octet-stream"
_MEDIA_TYPE = re.compile(
    r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}(; ?charset=[\w-]{1,30})?"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
# How often a race with the sweeper or with another upload of the same content may be lost.
ATTEMPTS = 5
# How often an upload into an object says that it is alive.
TOUCH_SECONDS = 60.0


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
        place = stores.place_for(self._settings, upload_id)
        async with self._database.transaction() as tx:
            await self._check_quota(tx, actor, announced.size or 0)
            await repository.begin(tx, upload_id, place)
        try:
            arrived = Arriving(content, limit=self._settings.max_blob_bytes)
            await self._receive(upload_id, place, arrived)
            if announced.sha256 not in (None, arrived.sha256):
                raise BlobMismatch(f"The content's SHA-256 is {arrived.sha256}.")
            return await self._finish(actor, announced, upload_id, arrived)
        except Exception:
            async with self._database.transaction() as tx:
                await repository.drop(tx, upload_id)
            raise

    async def _receive(
        self, upload_id: UploadId, place: Place | None, arriving: "Arriving"
    ) -> None:
        if place is not None:
            content = self._touching(upload_id, arriving)
            with stores.told(place):
                await stores.objects(self._settings).put(place, content)
            return
        position = 0
        async for piece in arriving.chunks():
            async with self._database.transaction() as tx:
                await repository.add_chunk(tx, upload_id, position=position, content=piece)
            position += 1

    async def _touching(self, upload_id: UploadId, arriving: "Arriving") -> AsyncIterator[bytes]:
        """The same, telling the sweeper now and then that it goes on."""
        touched = clock.monotonic()
        async for piece in arriving.chunks():
            if clock.monotonic() - touched > TOUCH_SECONDS:
                touched = clock.monotonic()
                async with self._database.transaction() as tx:
                    await repository.touch(tx, upload_id)
            yield piece

    async def _finish(
        self, actor: Actor, announced: Announced, upload_id: UploadId, arrived: "Arriving"
    ) -> Blob:
        sha256, size = arrived.sha256, arrived.size
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


class Arriving:
    """What comes in, counted and hashed; raises BlobTooLarge as soon as it is."""

    def __init__(self, content: AsyncIterator[bytes], *, limit: int) -> None:
        self._content = content
        self._limit = limit
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> Sha256:
        return Sha256(self._digest.hexdigest())

    async def chunks(self) -> AsyncIterator[bytes]:
        async for piece in chunked(self._content):
            self.size += len(piece)
            if self.size > self._limit:
                raise _too_large(self._limit)
            self._digest.update(piece)
            yield piece


async def _keep(tx: Transaction, upload_id: UploadId, sha256: Sha256, *, size: int) -> UploadId:
    """The upload that has this content from now on: an earlier one if there is one."""
    for _ in range(ATTEMPTS):
        earlier = await repository.adopt(tx, sha256)
        if earlier is not None:
            await repository.drop(tx, upload_id)
            return earlier
        if await repository.complete(tx, upload_id, sha256, size=size):
            return upload_id
    raise Unavailable("The content could not be kept at this moment.", retry_after=1)


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

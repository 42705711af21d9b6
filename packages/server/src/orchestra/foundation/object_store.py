"""Objects in S3-compatible storage: streamed in and out, a few megabytes at a time.

The requests, their signatures and their retries are obstore's (Rust's `object_store`). Here is what
it is told, and what its errors mean to whoever runs the instance. It is imported only where S3 is
used: it takes 10 MB of each process.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from orchestra.foundation.object_places import (
    ObjectDenied,
    ObjectMissing,
    ObjectStoreFailed,
    Place,
)
from orchestra.foundation.settings import Settings

# S3 wants parts of at least 5 MiB, and at most 10,000 of them: enough for 48 GiB.
PART_BYTES = 5 * 1024**2
# So many parts of an object are on their way at a time.
PARTS_AT_ONCE = 2
CONNECT_SECONDS = 5
# Counted from the first attempt; a request itself may take `s3_timeout_seconds`.
RETRY_SECONDS = 20
RETRIES = 3
# How long an upload waits for others to end.
QUEUE_SECONDS = 30.0
PROBE = b"AI Orchestra was here."

_CODE = re.compile(r"<Code>(\w+)</Code>")
_REGION = re.compile(r"<Region>([\w-]+)</Region>|expecting '([\w-]+)'")
_BAD_KEY = frozenset(
    {"SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidToken", "ExpiredToken"}
)
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
_DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "AccountProblem"})


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options:
    """What the settings say about S3."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str
    path_style: bool
    timeout_seconds: float
    uploads_at_once: int

    @classmethod
    def of(cls, settings: Settings) -> "S3Options":
        return cls(
            endpoint=settings.s3_endpoint.rstrip("/"),
            region=settings.s3_region,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
            path_style=settings.s3_path_style,
            timeout_seconds=settings.s3_timeout_seconds,
            uploads_at_once=settings.s3_uploads_at_once,
        )


class ObjectStore:
    """One for each process, with a client for each bucket. All of it raises ObjectStoreFailed."""

    def __init__(self, options: S3Options) -> None:
        self._options = options
        self._clients: dict[str, S3Store] = {}
        self._uploads = asyncio.Semaphore(options.uploads_at_once)

    async def put(self, place: Place, content: AsyncIterator[bytes]) -> None:
        """Stores a stream, of which some 20 MiB are held; what the stream raises goes through.

        Of many at once some wait, and at last are refused.
        """
        try:
            await asyncio.wait_for(self._uploads.acquire(), QUEUE_SECONDS)
        except TimeoutError as error:
            raise ObjectStoreFailed("Too many uploads at this moment.", retry_after=5) from error
        try:
            await self._put(place, content)
        finally:
            self._uploads.release()

    async def _put(self, place: Place, content: AsyncIterator[bytes]) -> None:
        start = [await _start_of(content)]
        with self._translated(place.bucket, "write"):
            client = self._client(place.bucket)
            if len(start[0]) < PART_BYTES:
                await obstore.put_async(client, place.key, start.pop(), use_multipart=False)
                return
            await obstore.put_async(
                client,
                place.key,
                _joined(start, content),
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )

    async def read(self, place: Place, start: int, end: int) -> bytes:
        """The bytes from `start` up to and without `end`; also raises ObjectMissing."""
        with self._translated(place.bucket, "read"):
            found = await obstore.get_range_async(
                self._client(place.bucket), place.key, start=start, end=end
            )
        if len(found) != end - start:
            raise ObjectStoreFailed(f"An object in bucket {place.bucket} is shorter than it was.")
        return found.to_bytes()

    async def delete(self, place: Place) -> None:
        """Removes an object, if it is there."""
        with self._translated(place.bucket, "delete"):
            try:
                await obstore.delete_async(self._client(place.bucket), place.key)
            except FileNotFoundError as error:
                if _code(str(error)) == "NoSuchBucket":
                    raise

    async def try_out(self, place: Place) -> None:
        """Writes, reads and removes a small object."""
        with self._translated(place.bucket, "write"):
            await obstore.put_async(self._client(place.bucket), place.key, PROBE)
        await self.read(place, 0, len(PROBE))
        await self.delete(place)

    async def ping(self, place: Place) -> None:
        """Raises unless the storage answers and knows us; the object need not exist."""
        with contextlib.suppress(ObjectMissing, ObjectDenied):
            await self.read(place, 0, 1)

    def _client(self, bucket: str) -> S3Store:
        if bucket not in self._clients:
            self._clients[bucket] = self._connect(bucket)
        return self._clients[bucket]

    def _connect(self, bucket: str) -> S3Store:
        options = self._options
        more: dict[str, Any] = {}
        if options.access_key:  # else: the environment's, or the machine's role
            more["access_key_id"] = options.access_key
            more["secret_access_key"] = options.secret_key
        if options.endpoint:
            more["endpoint"] = _endpoint(options, bucket)
        with self._translated(bucket, "reach"):
            return S3Store(
                bucket,
                region=options.region,
                virtual_hosted_style_request=not options.path_style,
                disable_bulk_delete=True,  # not everything that speaks S3 has it
                client_options={
                    "allow_http": options.endpoint.startswith("http://"),
                    "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                    "timeout": timedelta(seconds=options.timeout_seconds),
                },
                retry_config={
                    "max_retries": RETRIES,
                    "retry_timeout": timedelta(seconds=RETRY_SECONDS),
                },
                **more,
            )

    @contextlib.contextmanager
    def _translated(self, bucket: str, verb: str) -> Generator[None]:
        """Raises what the storage means as ObjectStoreFailed."""
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            said = str(error)
            raise _kind(error, said)(
                _meaning(bucket, verb, said), retry_after=5, said=said
            ) from error


def _meaning(bucket: str, verb: str, said: str) -> str:
    """What it is to whoever runs or uses the instance; where the storage is, is not for all."""
    code = _code(said)
    if code == "NoSuchBucket":
        return f"The bucket {bucket} does not exist: create it, or correct s3_bucket."
    if code in _BAD_KEY:
        return f"S3 refuses our key ({code}): correct s3_access_key and s3_secret_key."
    if code in _DENIED:
        return f"Our key may not {verb} objects in the bucket {bucket} ({code})."
    if code in _ELSEWHERE or "redirect" in said:
        return f"The bucket {bucket} is in another region{_expected(said)}: correct s3_region."
    if code == "RequestTimeTooSkewed":
        return "The clock of this machine and that of S3 differ too much."
    if code == "NoSuchKey":
        return f"An object is missing in the bucket {bucket}."
    if code is None:
        return "The object storage does not answer."
    return f"The object storage cannot {verb} in the bucket {bucket} now ({code})."


def _kind(error: Exception, said: str) -> type[ObjectStoreFailed]:
    code = _code(said)
    if isinstance(error, FileNotFoundError) and code != "NoSuchBucket":
        return ObjectMissing
    return ObjectDenied if code in _DENIED else ObjectStoreFailed


def _code(said: str) -> str | None:
    found = _CODE.search(said)
    return found[1] if found else None


def _expected(said: str) -> str:
    found = _REGION.search(said)
    return f", {found[1] or found[2]}" if found else ""


def _endpoint(options: S3Options, bucket: str) -> str:
    """The address; with the bucket as part of the host if that is the style."""
    if options.path_style:
        return options.endpoint
    parts = urlsplit(options.endpoint)
    return urlunsplit(parts._replace(netloc=f"{bucket}.{parts.netloc}"))


async def _start_of(content: AsyncIterator[bytes]) -> bytes:
    """What comes first, up to a part or a little more; less only if that is all."""
    held = bytearray()
    async for piece in content:
        held += piece
        if len(held) >= PART_BYTES:
            break
    return bytes(held)


async def _joined(start: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The one piece in `start`, which is not kept, and the rest."""
    yield start.pop()
    async for piece in rest:
        yield piece

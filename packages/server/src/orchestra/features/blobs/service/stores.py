"""Where the content of blobs is: chunks in PostgreSQL, or objects in S3 by the settings.

What the settings say is for new blobs. An older one stays where its row says that it is.
"""

import functools
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from orchestra.features.blobs.types import UploadId
from orchestra.foundation.object_places import ObjectStoreFailed, Place
from orchestra.foundation.settings import Settings

if TYPE_CHECKING:
    from orchestra.foundation.object_store import ObjectStore

log = structlog.get_logger(__name__)

S3 = "s3"
# Beside the blobs; no upload has such a name.
PROBE = "storage-check"


def place_for(settings: Settings, upload_id: UploadId) -> Place | None:
    """Where the content of a new upload goes; None: into the database."""
    if settings.blob_store != S3:
        return None
    return Place(settings.s3_bucket, f"{settings.s3_prefix}{upload_id}")


@functools.lru_cache(maxsize=4)
def objects(settings: Settings) -> "ObjectStore":
    """The client of this process, with its connections."""
    from orchestra.foundation.object_store import (  # noqa: PLC0415 - 10 MB, only where S3 is used
        ObjectStore,
        S3Options,
    )

    return ObjectStore(S3Options.of(settings))


@contextmanager
def told(place: Place) -> Generator[None]:
    """Tells in the log what the storage has said when it fails; its user is told what it means."""
    try:
        yield
    except ObjectStoreFailed as error:
        log.warning(
            "the object storage failed", place=place, meaning=error.message, said=error.said
        )
        raise


async def ping(settings: Settings) -> None:
    """Raises ObjectStoreFailed when blobs go to S3 and it does not answer, or refuses us.

    The answer is for everybody, so it says no more than that.
    """
    if settings.blob_store != S3:
        return
    try:
        await objects(settings).ping(_probe(settings))
    except ObjectStoreFailed as error:
        said = "the object storage fails: `orchestra doctor` says why"
        raise ObjectStoreFailed(said, said=error.said) from error


async def try_out(settings: Settings) -> None:
    """Writes, reads and removes an object; raises ObjectStoreFailed saying what is wrong."""
    if settings.blob_store == S3:
        await objects(settings).try_out(_probe(settings))


def _probe(settings: Settings) -> Place:
    return Place(settings.s3_bucket, f"{settings.s3_prefix}{PROBE}")

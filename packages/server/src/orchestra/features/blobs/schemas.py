"""What REST carries about blobs."""

from datetime import datetime
from uuid import UUID

from orchestra.features.blobs.service.managing import Described
from orchestra.features.blobs.types import Blob, Owned
from orchestra.foundation.web import View


class BlobView(View):
    """A blob; a value `{"$blob": <blob>}` in an input or result refers to it."""

    blob: str
    size: int
    media_type: str


class OwnedBlobView(BlobView):
    """A blob as somebody has brought it.

    `in_use`: a task of theirs refers to it. Otherwise it is kept at least until `kept_until`.
    `store`: postgresql or s3.
    """

    created_at: datetime
    owner: str
    in_use: bool
    kept_until: datetime | None
    store: str


class BlobDetail(BlobView):
    """A blob and the newest tasks that refer to it, as far as the caller may see them."""

    created_at: datetime | None
    kept_until: datetime | None
    tasks: list[UUID]
    store: str


def blob_view(blob: Blob) -> BlobView:
    return BlobView(blob=blob.sha256, size=blob.size, media_type=blob.media_type)


def owned_view(owned: Owned) -> OwnedBlobView:
    return OwnedBlobView(
        blob=owned.sha256,
        size=owned.size,
        media_type=owned.media_type,
        created_at=owned.created_at,
        owner=owned.owner,
        in_use=owned.in_use,
        kept_until=owned.kept_until,
        store=owned.store,
    )


def detail_view(found: Described) -> BlobDetail:
    return BlobDetail(
        blob=found.blob.sha256,
        size=found.blob.size,
        media_type=found.blob.media_type,
        created_at=found.created_at,
        kept_until=found.kept_until,
        tasks=found.tasks,
        store="postgresql" if found.blob.place is None else "s3",
    )

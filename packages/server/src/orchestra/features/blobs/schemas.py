"""What REST carries about blobs."""

from orchestra.features.blobs.types import Blob
from orchestra.foundation.web import View


class BlobView(View):
    """A blob; a value `{"$blob": <blob>}` in an input or result refers to it."""

    blob: str
    size: int
    media_type: str


def blob_view(blob: Blob) -> BlobView:
    return BlobView(blob=blob.sha256, size=blob.size, media_type=blob.media_type)

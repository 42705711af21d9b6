"""How blobs are written in rows."""

from orchestra.features.blobs.types import Blob, Sha256, UploadId
from orchestra.foundation.database import Row
from orchestra.foundation.object_places import Place


def raw(sha256: Sha256) -> bytes:
    return bytes.fromhex(sha256)


def to_place(row: Row) -> Place | None:
    return None if row["bucket"] is None else Place(row["bucket"], row["object_key"])


def to_blob(sha256: Sha256, row: Row) -> Blob:
    return Blob(
        sha256=sha256,
        upload_id=UploadId(row["id"]),
        size=row["size"],
        media_type=row["media_type"],
        place=to_place(row),
    )

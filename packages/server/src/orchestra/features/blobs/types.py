"""What a blob is."""

import uuid
from dataclasses import dataclass
from typing import NewType

# In lower-case hexadecimal, as everybody outside the database spells it.
Sha256 = NewType("Sha256", str)
UploadId = NewType("UploadId", uuid.UUID)

# Of this size are all chunks of a blob but its last.
CHUNK_BYTES = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A blob that is complete. Its chunks are those of the upload that brought it first."""

    sha256: Sha256
    upload_id: UploadId
    size: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a blob: from `start` up to and without `end`."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start

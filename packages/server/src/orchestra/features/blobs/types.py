"""What a blob is."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from orchestra.foundation.object_places import Place

# In lower-case hexadecimal, as everybody outside the database spells it.
Sha256 = NewType("Sha256", str)
UploadId = NewType("UploadId", uuid.UUID)

# Of this size are all chunks of a blob in the database but its last.
CHUNK_BYTES = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A blob that is complete. Its content is that of the upload that brought it first."""

    sha256: Sha256
    upload_id: UploadId
    size: int
    media_type: str
    place: Place | None = None  # of its content, if that is not in the database


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A blob as somebody has brought it."""

    sha256: Sha256
    size: int
    media_type: str
    created_at: datetime
    user_id: uuid.UUID
    owner: str
    in_use: bool
    kept_until: datetime | None  # at least; None: as long as a task refers to it
    store: str


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a blob: from `start` up to and without `end`."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start

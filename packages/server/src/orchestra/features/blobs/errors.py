"""What can be wrong with a blob."""

from http import HTTPStatus
from typing import ClassVar

from orchestra.foundation.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    OrchestraError,
    TooLarge,
)


class BlobNotFound(NotFound):
    """There is no such blob, or you may not see it."""

    code: ClassVar[str] = "blob_not_found"


class BlobTooLarge(TooLarge):
    """The blob is larger than allowed."""

    code: ClassVar[str] = "blob_too_large"


class QuotaExceeded(TooLarge):
    """You keep as much as one person may keep."""

    code: ClassVar[str] = "blob_quota"


class BlobMismatch(InvalidInput):
    """What arrived is not what was announced."""

    code: ClassVar[str] = "blob_mismatch"


class BrokenOff(OrchestraError):
    """The content has not arrived as a whole."""

    code: ClassVar[str] = "broken_off"
    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST


class BadReference(InvalidInput):
    """What refers to a blob is not the SHA-256 of one."""

    code: ClassVar[str] = "bad_blob_reference"


class RangeNotSatisfiable(OrchestraError):
    """The blob has no such range."""

    code: ClassVar[str] = "range_not_satisfiable"
    status: ClassVar[HTTPStatus] = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE


class BlobDamaged(OrchestraError):
    """The stored content is not what was uploaded: somebody has changed it in the storage."""

    code: ClassVar[str] = "blob_damaged"


class BlobInUse(Conflict):
    """Tasks refer to this blob, which is kept as long as they are."""

    code: ClassVar[str] = "blob_in_use"

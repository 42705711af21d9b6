"""Where objects are, and what can be wrong there: without the client, which takes 10 MB."""

from dataclasses import dataclass
from typing import ClassVar

from orchestra.foundation.errors import Unavailable

MOST_SAID = 500


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object is."""

    bucket: str
    key: str


class ObjectStoreFailed(Unavailable):
    """The object storage cannot do this now.

    `said` is what it has answered, for the log.
    """

    code: ClassVar[str] = "object_storage"

    def __init__(
        self, message: str | None = None, *, retry_after: float | None = None, said: str = ""
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.said = said[:MOST_SAID]


class ObjectMissing(ObjectStoreFailed):
    """The object is not there, although it should be."""


class ObjectDenied(ObjectStoreFailed):
    """Our key may not do this. Without the right to list, so does S3 say that nothing is there."""

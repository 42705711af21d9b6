"""Where objects are, and what can be wrong there: without the client, which takes 10 MB."""

from dataclasses import dataclass
from typing import ClassVar

from orchestra.foundation.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object is."""

    bucket: str
    key: str


class ObjectStoreFailed(Unavailable):
    """The object storage cannot do this now."""

    code: ClassVar[str] = "object_storage"


class ObjectMissing(ObjectStoreFailed):
    """The object is not there, although it should be."""

"""Large inputs and results: content-addressed, streamed, never whole in memory.

A blob is named by the SHA-256 of its content and kept in PostgreSQL or in S3. A value
`{"$blob": "<sha256>"}` in JSON refers to one. It must not know what a task is: who keeps such JSON
says so with `refer`.
"""

from orchestra.features.blobs.service.references import (
    Reference,
    mentions,
    named_in,
    refer,
    refer_as,
    unusable,
)
from orchestra.features.blobs.service.stores import ping, try_out
from orchestra.features.blobs.types import Blob, Sha256

__all__ = [
    "Blob",
    "Reference",
    "Sha256",
    "mentions",
    "named_in",
    "ping",
    "refer",
    "refer_as",
    "try_out",
    "unusable",
]

"""SQL of who may read a blob, and of what somebody has brought."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from orchestra.features.blobs.repository.rows import raw, to_blob
from orchestra.features.blobs.types import Blob, Owned, Sha256
from orchestra.foundation.database import Row, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who wants to read. A run is known by its task, and sees less than the person behind it."""

    user_id: uuid.UUID
    is_admin: bool
    task_id: uuid.UUID | None = None


class Before(NamedTuple):
    """The last row of the page before."""

    created_at: datetime
    sha256: str
    user_id: uuid.UUID


async def readable(tx: Transaction, sha256: Sha256, reader: Reader) -> Blob | None:
    """What its owner, whoever may see a task that refers to it, or an administrator may read.

    A run: what it has uploaded, and what its own task and that task's children refer to.
    """
    row = await tx.fetch_one(
        """
        SELECT id, size, bucket, object_key, coalesce((
            SELECT media_type FROM blob_owners WHERE blob_owners.sha256 = blob_uploads.sha256
            ORDER BY user_id = $2 DESC, created_at LIMIT 1
        ), 'application/octet-stream') AS media_type
        FROM blob_uploads WHERE sha256 = $1 AND ($3 OR EXISTS (
            SELECT FROM blob_owners WHERE blob_owners.sha256 = $1 AND user_id = $2
                AND ($4::uuid IS NULL OR task_id = $4)
        ) OR EXISTS (
            SELECT FROM blob_references WHERE blob_references.sha256 = $1 AND user_id = $2
                AND ($4::uuid IS NULL OR $4 IN (task_id, parent_id))
        ))
        """,
        raw(sha256),
        reader.user_id,
        reader.is_admin,
        reader.task_id,
    )
    return to_blob(sha256, row) if row else None


async def newest(
    tx: Transaction, *, user_id: uuid.UUID | None, before: Before | None, hours: float, limit: int
) -> list[Owned]:
    """What one person has brought, or everybody; each once, by when it was brought first."""
    place = before or (None, None, None)
    rows = await tx.fetch(
        _NEWEST.format(whose="AND owned.user_id = $6" if user_id else "AND $6::uuid IS NULL"),
        hours,
        place[0],
        raw(Sha256(before.sha256)) if before else None,
        place[2],
        limit,
        user_id,
    )
    return [_to_owned(row) for row in rows]


async def tasks_with(
    tx: Transaction, sha256: Sha256, *, user_id: uuid.UUID | None, limit: int
) -> list[uuid.UUID]:
    """The newest tasks that refer to it: of one person, or of everybody."""
    rows = await tx.fetch(
        """
        SELECT task_id FROM blob_references
        WHERE sha256 = $1 AND ($2::uuid IS NULL OR user_id = $2) ORDER BY task_id DESC LIMIT $3
        """,
        raw(sha256),
        user_id,
        limit,
    )
    return [row["task_id"] for row in rows]


async def first_brought(
    tx: Transaction, sha256: Sha256, *, user_id: uuid.UUID, hours: float
) -> tuple[datetime | None, datetime]:
    """When it was brought by this person or else by anybody, and until when it is kept unused."""
    row = await tx.fetch_one(
        """
        SELECT (
            SELECT created_at FROM blob_owners WHERE blob_owners.sha256 = blob_uploads.sha256
            ORDER BY user_id = $2 DESC, created_at LIMIT 1
        ) AS created_at, touched_at + make_interval(secs => $3::float8 * 3600) AS kept_until
        FROM blob_uploads WHERE sha256 = $1
        """,
        raw(sha256),
        user_id,
        hours,
    )
    if row is None:
        raise LookupError(sha256)
    return row["created_at"], row["kept_until"]


# A run and the person behind it may each have brought the same.
_NEWEST = """
    SELECT encode(owned.sha256, 'hex') AS sha256, size, owned.media_type, owned.created_at,
        owned.user_id, username, bucket, used.it IS NOT NULL AS in_use,
        touched_at + make_interval(secs => $1::float8 * 3600) AS kept_until
    FROM blob_owners AS owned
    JOIN blob_uploads USING (sha256)
    JOIN users_v2 ON users_v2.id = owned.user_id
    LEFT JOIN LATERAL (
        SELECT true AS it FROM blob_references
        WHERE blob_references.sha256 = owned.sha256
            AND blob_references.user_id = owned.user_id LIMIT 1
    ) AS used ON true
    WHERE ($2::timestamptz IS NULL
            OR (owned.created_at, owned.sha256, owned.user_id) < ($2, $3::bytea, $4::uuid))
        {whose}
        AND NOT EXISTS (
            SELECT FROM blob_owners AS earlier
            WHERE earlier.sha256 = owned.sha256 AND earlier.user_id = owned.user_id
                AND (earlier.created_at, earlier.ctid) < (owned.created_at, owned.ctid)
        )
    ORDER BY owned.created_at DESC, owned.sha256 DESC, owned.user_id DESC LIMIT $5
"""


def _to_owned(row: Row) -> Owned:
    return Owned(
        sha256=Sha256(row["sha256"]),
        size=row["size"],
        media_type=row["media_type"],
        created_at=row["created_at"],
        user_id=row["user_id"],
        owner=row["username"],
        in_use=row["in_use"],
        kept_until=None if row["in_use"] else row["kept_until"],
        store="postgresql" if row["bucket"] is None else "s3",
    )

"""SQL of what goes: blobs that are deleted or not used, and the objects they leave behind."""

import uuid

from orchestra.features.blobs.repository.rows import raw
from orchestra.features.blobs.types import Sha256
from orchestra.foundation.database import Transaction
from orchestra.foundation.object_places import Place


async def disown(
    tx: Transaction, sha256: Sha256, *, user_id: uuid.UUID, task_id: uuid.UUID | None
) -> int:
    """Forgets that a person, or only one run of hers, has brought it; how often she had."""
    return await tx.execute(
        """
        DELETE FROM blob_owners
        WHERE sha256 = $1 AND user_id = $2 AND ($3::uuid IS NULL OR task_id = $3)
        """,
        raw(sha256),
        user_id,
        task_id,
    )


async def drop_blob(tx: Transaction, sha256: Sha256) -> None:
    await tx.execute("DELETE FROM blob_uploads WHERE sha256 = $1", raw(sha256))


async def drop_if_nobodys(tx: Transaction, sha256: Sha256) -> None:
    """Unless somebody else has brought it too, or a task refers to it."""
    await tx.execute(
        """
        DELETE FROM blob_uploads WHERE sha256 = $1
            AND NOT EXISTS (SELECT FROM blob_owners WHERE sha256 = $1)
            AND NOT EXISTS (SELECT FROM blob_references WHERE sha256 = $1)
        """,
        raw(sha256),
    )


async def sweep_uploads(tx: Transaction, *, seconds: float, limit: int) -> int:
    """Drops a few uploads of which nothing was heard for so long; how many."""
    return await tx.execute(
        """
        WITH gone AS MATERIALIZED (
            SELECT id FROM blob_uploads
            WHERE sha256 IS NULL AND touched_at < now() - make_interval(secs => $1)
            ORDER BY touched_at LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        DELETE FROM blob_uploads USING gone WHERE blob_uploads.id = gone.id
        """,
        seconds,
        limit,
    )


async def sweep_unused(tx: Transaction, *, hours: float, limit: int) -> int:
    """Drops a few blobs that nothing refers to and that nobody has brought for so long; how many.

    One that somebody refers to in this moment is locked, and skipped.
    """
    return await tx.execute(
        """
        WITH gone AS MATERIALIZED (
            SELECT id FROM blob_uploads
            WHERE sha256 IS NOT NULL
                AND touched_at < now() - make_interval(secs => $1::float8 * 3600)
                AND NOT EXISTS (
                    SELECT FROM blob_references
                    WHERE blob_references.sha256 = blob_uploads.sha256
                )
            ORDER BY touched_at LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        DELETE FROM blob_uploads USING gone WHERE blob_uploads.id = gone.id
        """,
        hours,
        limit,
    )


async def garbage(tx: Transaction, *, limit: int) -> list[Place]:
    """Objects that nobody needs, those that have waited longest first."""
    rows = await tx.fetch(
        """
        SELECT bucket, object_key FROM blob_garbage WHERE due_at <= now() ORDER BY due_at LIMIT $1
        """,
        limit,
    )
    return [Place(row["bucket"], row["object_key"]) for row in rows]


async def removed(tx: Transaction, place: Place) -> None:
    await tx.execute(
        "DELETE FROM blob_garbage WHERE bucket = $1 AND object_key = $2", place.bucket, place.key
    )


async def put_off(tx: Transaction, place: Place, *, seconds: float) -> None:
    """Tries again later, after everything else that is due."""
    await tx.execute(
        """
        UPDATE blob_garbage SET due_at = now() + make_interval(secs => $3)
        WHERE bucket = $1 AND object_key = $2
        """,
        place.bucket,
        place.key,
        seconds,
    )

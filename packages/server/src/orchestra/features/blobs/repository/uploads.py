"""SQL of what arrives: uploads, their chunks, and who has brought them."""

import uuid

import asyncpg

from orchestra.features.blobs.repository.rows import raw
from orchestra.features.blobs.types import Sha256, UploadId
from orchestra.foundation.database import Database, Transaction, without_nul
from orchestra.foundation.object_places import Place


async def begin(tx: Transaction, upload_id: UploadId, place: Place | None) -> None:
    await tx.execute(
        """
        INSERT INTO blob_uploads (id, bucket, object_key, touched_at) VALUES ($1, $2, $3, now())
        """,
        upload_id,
        place and place.bucket,
        place and place.key,
    )


async def add_chunk(tx: Transaction, upload_id: UploadId, *, position: int, content: bytes) -> None:
    """Also says that the upload is alive."""
    await tx.execute(
        """
        WITH touched AS (UPDATE blob_uploads SET touched_at = now() WHERE id = $1)
        INSERT INTO blob_chunks (upload_id, position, content) VALUES ($1, $2, $3)
        """,
        upload_id,
        position,
        content,
    )


async def touch(tx: Transaction, upload_id: UploadId) -> None:
    """Says that the upload is alive."""
    await tx.execute("UPDATE blob_uploads SET touched_at = now() WHERE id = $1", upload_id)


async def chunk(database: Database, upload_id: UploadId, position: int) -> bytes | None:
    rows = await database.fetch(
        "SELECT content FROM blob_chunks WHERE upload_id = $1 AND position = $2",
        upload_id,
        position,
    )
    return rows[0]["content"] if rows else None


async def adopt(tx: Transaction, sha256: Sha256) -> UploadId | None:
    """The upload that has this content already, kept a while longer from now."""
    found = await tx.fetch_value(
        "UPDATE blob_uploads SET touched_at = now() WHERE sha256 = $1 RETURNING id", raw(sha256)
    )
    return UploadId(found) if found else None


async def complete(tx: Transaction, upload_id: UploadId, sha256: Sha256, *, size: int) -> bool:
    """Makes a blob of an upload; False if another has just become this one, or it was swept."""
    try:
        async with tx.savepoint():
            found = await tx.execute(
                """
                UPDATE blob_uploads SET sha256 = $2, size = $3, touched_at = now() WHERE id = $1
                """,
                upload_id,
                raw(sha256),
                size,
            )
    except asyncpg.UniqueViolationError:
        return False
    return found == 1


async def drop(tx: Transaction, upload_id: UploadId) -> None:
    await tx.execute("DELETE FROM blob_uploads WHERE id = $1", upload_id)


async def own(
    tx: Transaction,
    sha256: Sha256,
    *,
    user_id: uuid.UUID,
    task_id: uuid.UUID | None,
    media_type: str,
) -> None:
    await tx.execute(
        """
        INSERT INTO blob_owners (sha256, user_id, task_id, media_type, created_at)
        VALUES ($1, $2, $3, $4, now())
        ON CONFLICT (sha256, user_id, task_id) DO UPDATE SET media_type = excluded.media_type
        """,
        raw(sha256),
        user_id,
        task_id,
        without_nul(media_type),
    )


async def bytes_of(tx: Transaction, user_id: uuid.UUID) -> int:
    """How much a person keeps."""
    total: int = await tx.fetch_value(
        """
        SELECT coalesce(sum(size), 0)::bigint FROM blob_uploads
        WHERE sha256 IN (SELECT sha256 FROM blob_owners WHERE user_id = $1)
        """,
        user_id,
    )
    return total

"""SQL of blobs: uploads and their chunks, who brought them, and what refers to them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from orchestra.features.blobs.types import Blob, Sha256, UploadId
from orchestra.foundation.database import Database, Row, Transaction, without_nul


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who wants to read. A run is known by its task, and sees less than the person behind it."""

    user_id: uuid.UUID
    is_admin: bool
    task_id: uuid.UUID | None = None


async def begin(tx: Transaction, upload_id: UploadId) -> None:
    await tx.execute("INSERT INTO blob_uploads (id, touched_at) VALUES ($1, now())", upload_id)


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
        "UPDATE blob_uploads SET touched_at = now() WHERE sha256 = $1 RETURNING id", _raw(sha256)
    )
    return UploadId(found) if found else None


async def complete(tx: Transaction, upload_id: UploadId, sha256: Sha256, *, size: int) -> bool:
    """Makes a blob of an upload; False if another has just become this one."""
    try:
        async with tx.savepoint():
            await tx.execute(
                """
                UPDATE blob_uploads SET sha256 = $2, size = $3, touched_at = now() WHERE id = $1
                """,
                upload_id,
                _raw(sha256),
                size,
            )
    except asyncpg.UniqueViolationError:
        return False
    return True


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
        _raw(sha256),
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


async def readable(tx: Transaction, sha256: Sha256, reader: Reader) -> Blob | None:
    """What its owner, whoever may see a task that refers to it, or an administrator may read.

    A run: what it has uploaded, and what its own task and that task's children refer to.
    """
    row = await tx.fetch_one(
        """
        SELECT id, size, coalesce((
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
        _raw(sha256),
        reader.user_id,
        reader.is_admin,
        reader.task_id,
    )
    return _to_blob(sha256, row) if row else None


async def usable(tx: Transaction, user_id: uuid.UUID, wanted: Sequence[Sha256]) -> set[Sha256]:
    """Those of the blobs that the person's tasks may refer to, which are then not forgotten."""
    rows = await tx.fetch(
        """
        SELECT encode(sha256, 'hex') AS sha256 FROM blob_uploads
        WHERE sha256 = ANY($2::bytea[]) AND (EXISTS (
            SELECT FROM blob_owners
            WHERE blob_owners.sha256 = blob_uploads.sha256 AND user_id = $1
        ) OR EXISTS (
            SELECT FROM blob_references
            WHERE blob_references.sha256 = blob_uploads.sha256 AND user_id = $1
        ))
        ORDER BY id FOR KEY SHARE
        """,
        user_id,
        [_raw(name) for name in wanted],
    )
    return {Sha256(row["sha256"]) for row in rows}


async def add_references(
    tx: Transaction, rows: Sequence[tuple[uuid.UUID, Sha256, uuid.UUID | None, uuid.UUID]]
) -> None:
    """Task, blob, the task's parent and its owner."""
    await tx.execute(
        """
        INSERT INTO blob_references (task_id, sha256, parent_id, user_id)
        SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::uuid[])
        ON CONFLICT (task_id, sha256) DO NOTHING
        """,
        [task_id for task_id, *_ in rows],
        [_raw(sha256) for _, sha256, *_ in rows],
        [parent_id for *_, parent_id, _ in rows],
        [user_id for *_, user_id in rows],
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


def _raw(sha256: Sha256) -> bytes:
    return bytes.fromhex(sha256)


def _to_blob(sha256: Sha256, row: Row) -> Blob:
    return Blob(
        sha256=sha256,
        upload_id=UploadId(row["id"]),
        size=row["size"],
        media_type=row["media_type"],
    )

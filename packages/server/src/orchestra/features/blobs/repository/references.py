"""SQL of what refers to blobs."""

import uuid
from collections.abc import Sequence

from orchestra.features.blobs.repository.rows import raw
from orchestra.features.blobs.types import Sha256
from orchestra.foundation.database import Transaction


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
        [raw(name) for name in wanted],
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
        [raw(sha256) for _, sha256, *_ in rows],
        [parent_id for *_, parent_id, _ in rows],
        [user_id for *_, user_id in rows],
    )


async def add_as_of(tx: Transaction, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """The second task of each pair, without a parent, refers to what the first one does."""
    await tx.execute(
        """
        INSERT INTO blob_references (task_id, sha256, user_id)
        SELECT given.fresh, sha256, user_id
        FROM unnest($1::uuid[], $2::uuid[]) AS given (old, fresh)
            JOIN blob_references ON task_id = given.old
        ON CONFLICT (task_id, sha256) DO NOTHING
        """,
        [old for old, _ in pairs],
        [fresh for _, fresh in pairs],
    )


async def lock(tx: Transaction, sha256: Sha256) -> None:
    """Until the end of the transaction nobody begins to refer to it."""
    await tx.execute("SELECT FROM blob_uploads WHERE sha256 = $1 FOR UPDATE", raw(sha256))

"""One-time links."""

import uuid
from datetime import datetime

from orchestra.features.identity.types import (
    Link,
    LinkPurpose,
)
from orchestra.foundation.database import Row, Transaction


async def insert_link(tx: Transaction, token_hash: bytes, link: Link, *, now: datetime) -> None:
    await tx.execute(
        """
        INSERT INTO signin_links (token_hash, purpose, user_id, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5)
        """,
        token_hash,
        link.purpose,
        link.user_id,
        now,
        link.expires_at,
    )


async def usable_link(tx: Transaction, token_hash: bytes, *, now: datetime) -> Link | None:
    row = await tx.fetch_one(
        """
        SELECT purpose, user_id, expires_at FROM signin_links
        WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2
        """,
        token_hash,
        now,
    )
    return _link(row) if row else None


async def use_link(tx: Transaction, token_hash: bytes, *, now: datetime) -> Link | None:
    """Uses the link up; of several who try at once, one gets it."""
    row = await tx.fetch_one(
        """
        UPDATE signin_links SET used_at = $2
        WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2
        RETURNING purpose, user_id, expires_at
        """,
        token_hash,
        now,
    )
    return _link(row) if row else None


async def drop_links(tx: Transaction, *, purpose: LinkPurpose, user_id: uuid.UUID | None) -> None:
    await tx.execute(
        "DELETE FROM signin_links WHERE purpose = $1 AND user_id IS NOT DISTINCT FROM $2",
        purpose,
        user_id,
    )


def _link(row: Row) -> Link:
    return Link(
        purpose=LinkPurpose(row["purpose"]), user_id=row["user_id"], expires_at=row["expires_at"]
    )

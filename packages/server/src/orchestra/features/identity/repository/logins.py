"""Logins: signed-in browsers."""

import uuid
from datetime import datetime

from orchestra.features.identity.repository.users import USER_COLUMNS, user_of
from orchestra.features.identity.types import (
    Client,
    Login,
    User,
)
from orchestra.foundation.database import Transaction


async def insert_login(
    tx: Transaction, login_id: uuid.UUID, user_id: uuid.UUID, token_hash: bytes, client: Client, *,
    now: datetime, expires_at: datetime,
) -> None:  # fmt: skip
    await tx.execute(
        """
        INSERT INTO logins
            (id, user_id, token_hash, created_at, last_seen_at, expires_at, ip, user_agent)
        VALUES ($1, $2, $3, $4, $4, $5, $6, $7)
        """,
        login_id,
        user_id,
        token_hash,
        now,
        expires_at,
        client.ip,
        client.user_agent,
    )


async def active_login(
    tx: Transaction, token_hash: bytes, *, now: datetime, idle_since: datetime
) -> tuple[Login, User] | None:
    row = await tx.fetch_one(
        f"""
        SELECT l.id AS login_id, l.created_at AS login_created_at, l.last_seen_at, l.ip,
            l.user_agent, {USER_COLUMNS}
        FROM logins l JOIN users_v2 u ON u.id = l.user_id
        WHERE l.token_hash = $1 AND l.revoked_at IS NULL AND l.expires_at > $2
          AND l.last_seen_at > $3 AND u.status = 'active'
        """,
        token_hash,
        now,
        idle_since,
    )
    if row is None:
        return None
    login = Login(
        id=row["login_id"],
        user_id=row["id"],
        created_at=row["login_created_at"],
        last_seen_at=row["last_seen_at"],
        ip=row["ip"],
        user_agent=row["user_agent"],
    )
    return login, user_of(row)


async def touch_login(tx: Transaction, login_id: uuid.UUID, *, now: datetime) -> None:
    await tx.execute("UPDATE logins SET last_seen_at = $2 WHERE id = $1", login_id, now)


async def list_logins(
    tx: Transaction, user_id: uuid.UUID, *, now: datetime, idle_since: datetime, limit: int
) -> list[Login]:
    rows = await tx.fetch(
        """
        SELECT id, user_id, created_at, last_seen_at, ip, user_agent FROM logins
        WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 AND last_seen_at > $3
        ORDER BY created_at DESC, id DESC LIMIT $4
        """,
        user_id,
        now,
        idle_since,
        limit,
    )
    return [Login(**dict(row)) for row in rows]


async def revoke_login(
    tx: Transaction, login_id: uuid.UUID, *, user_id: uuid.UUID, now: datetime
) -> bool:
    changed = await tx.execute(
        "UPDATE logins SET revoked_at = $3 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL",
        login_id,
        user_id,
        now,
    )
    return changed > 0


async def revoke_logins(
    tx: Transaction, user_id: uuid.UUID, *, now: datetime, keep: uuid.UUID | None = None
) -> int:
    """Ends all logins of a user but `keep`; returns how many."""
    return await tx.execute(
        """
        UPDATE logins SET revoked_at = $2
        WHERE user_id = $1 AND revoked_at IS NULL AND id IS DISTINCT FROM $3
        """,
        user_id,
        now,
        keep,
    )


async def revoke_oldest_logins(
    tx: Transaction, user_id: uuid.UUID, *, keep_newest: int, now: datetime
) -> None:
    await tx.execute(
        """
        UPDATE logins SET revoked_at = $3 WHERE id IN (
            SELECT id FROM logins WHERE user_id = $1 AND revoked_at IS NULL
            ORDER BY created_at DESC, id DESC OFFSET $2
        )
        """,
        user_id,
        keep_newest,
        now,
    )

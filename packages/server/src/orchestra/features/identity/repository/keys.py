"""API keys."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from orchestra.features.identity.repository.users import USER_COLUMNS, user_of
from orchestra.features.identity.types import (
    ApiKey,
    User,
)
from orchestra.foundation.auth import Permission
from orchestra.foundation.database import Row, Transaction

_KEY = "k.id, k.user_id, k.name, k.scopes, k.created_at, k.expires_at, k.last_used_at"


async def insert_key(tx: Transaction, key: ApiKey, secret_hash: bytes) -> None:
    await tx.execute(
        """
        INSERT INTO api_keys (id, user_id, name, secret_hash, scopes, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        key.id,
        key.user_id,
        key.name,
        secret_hash,
        [str(scope) for scope in key.scopes],
        key.created_at,
        key.expires_at,
    )


async def active_key(
    tx: Transaction, key_id: str, *, now: datetime
) -> tuple[ApiKey, bytes, User] | None:
    """The key, the hash of its secret and its owner."""
    row = await tx.fetch_one(
        f"""
        SELECT k.id AS key_id, k.name, k.scopes, k.secret_hash, k.created_at AS key_created_at,
            k.expires_at, k.last_used_at, {USER_COLUMNS}
        FROM api_keys k JOIN users_v2 u ON u.id = k.user_id
        WHERE k.id = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)
          AND u.status = 'active'
        """,
        key_id,
        now,
    )
    if row is None:
        return None
    key = ApiKey(
        id=row["key_id"],
        user_id=row["id"],
        name=row["name"],
        scopes=_scopes(row["scopes"]),
        created_at=row["key_created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
    )
    return key, row["secret_hash"], user_of(row)


async def touch_key(tx: Transaction, key_id: str, *, now: datetime) -> None:
    await tx.execute("UPDATE api_keys SET last_used_at = $2 WHERE id = $1", key_id, now)


async def set_key_scopes(tx: Transaction, key_id: str, scopes: Sequence[Permission]) -> None:
    await tx.execute(
        "UPDATE api_keys SET scopes = $2 WHERE id = $1", key_id, [str(scope) for scope in scopes]
    )


async def list_keys(tx: Transaction, user_id: uuid.UUID, *, limit: int) -> list[ApiKey]:
    rows = await tx.fetch(
        f"""
        SELECT {_KEY} FROM api_keys k WHERE user_id = $1 AND revoked_at IS NULL
        ORDER BY created_at DESC, id DESC LIMIT $2
        """,
        user_id,
        limit,
    )
    return [_key(row) for row in rows]


async def revoke_keys(
    tx: Transaction, user_id: uuid.UUID, *, now: datetime, key_id: str | None = None
) -> list[str]:
    """Ends one key of a user, or all; returns the names of those that ended."""
    rows = await tx.fetch(
        """
        UPDATE api_keys SET revoked_at = $2
        WHERE user_id = $1 AND revoked_at IS NULL AND ($3::text IS NULL OR id = $3) RETURNING name
        """,
        user_id,
        now,
        key_id,
    )
    return [row["name"] for row in rows]


def _key(row: Row) -> ApiKey:
    values = dict(row)
    return ApiKey(scopes=_scopes(values.pop("scopes")), **values)


def _scopes(names: Sequence[str]) -> tuple[Permission, ...]:
    """Scopes of a newer version that this one does not know are left out."""
    known = {permission.value for permission in Permission}
    return tuple(Permission(name) for name in names if name in known)

"""The SQL of identity. Times come from the caller, so that tests can set the clock."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from orchestra.features.identity.errors import UsernameTaken
from orchestra.features.identity.types import (
    ApiKey,
    Client,
    Link,
    LinkPurpose,
    Login,
    NewUser,
    User,
    UserStatus,
)
from orchestra.foundation.auth import Permission, Role
from orchestra.foundation.database import Row, Transaction

_USER = """u.id, u.username, u.email, u.display_name, u.avatar_url, u.role,
    u.status::text AS status, u.is_system, u.preferences, u.created_at, u.last_login_at"""
_KEY = "k.id, k.user_id, k.name, k.scopes, k.created_at, k.expires_at, k.last_used_at"
_CHANGEABLE = frozenset(
    {"email", "display_name", "role", "status", "password_hash", "preferences", "last_login_at"}
)
# Any fixed numbers, unlike those of other features.
FIRST_ADMIN_LOCK = 7_203_320
LOCAL_KEY_LOCK = 7_203_321


async def lock(tx: Transaction, number: int) -> None:
    """Waits for the others who do the same, until the end of the transaction."""
    await tx.execute("SELECT pg_advisory_xact_lock($1)", number)


# Users


async def insert_user(tx: Transaction, user_id: uuid.UUID, new: NewUser, *, now: datetime) -> User:
    """Raises UsernameTaken."""
    try:
        row = await tx.fetch_one(
            f"""
            INSERT INTO users_v2 AS u (id, username, email, display_name, role, is_system,
                password_hash, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) RETURNING {_USER}
            """,
            user_id,
            new.username,
            new.email,
            new.display_name,
            new.role,
            new.is_system,
            new.password_hash,
            now,
        )
    except asyncpg.UniqueViolationError as error:
        raise UsernameTaken from error
    assert row is not None  # noqa: S101 - INSERT … RETURNING gives its row
    return _user(row)


async def user_by_id(
    tx: Transaction, user_id: uuid.UUID, *, for_update: bool = False
) -> User | None:
    row = await tx.fetch_one(
        f"SELECT {_USER} FROM users_v2 u WHERE id = $1 {'FOR UPDATE' if for_update else ''}",
        user_id,
    )
    return _user(row) if row else None


async def user_with_password(tx: Transaction, username: str) -> tuple[User, str | None] | None:
    """The account of that name in any case, and its password hash."""
    row = await tx.fetch_one(
        f"SELECT {_USER}, u.password_hash FROM users_v2 u WHERE lower(username) = lower($1)",
        username,
    )
    return (_user(row), row["password_hash"]) if row else None


async def system_user(tx: Transaction) -> User | None:
    row = await tx.fetch_one(f"SELECT {_USER} FROM users_v2 u WHERE is_system")
    return _user(row) if row else None


async def update_user(
    tx: Transaction, user_id: uuid.UUID, changes: Mapping[str, Any], *, now: datetime
) -> User | None:
    """Sets the given columns."""
    if unknown := set(changes) - _CHANGEABLE:
        raise ValueError(f"columns that are never changed: {unknown}")
    columns = [f"{name} = ${number}" for number, name in enumerate(changes, start=3)]
    row = await tx.fetch_one(
        f"""
        UPDATE users_v2 u SET {", ".join([*columns, "updated_at = $2"])}
        WHERE id = $1 RETURNING {_USER}
        """,
        user_id,
        now,
        *changes.values(),
    )
    return _user(row) if row else None


async def list_users(
    tx: Transaction, *, before: uuid.UUID | None, search: str | None, limit: int
) -> list[User]:
    """People from the newest down; `search` is a part of their name or address."""
    rows = await tx.fetch(
        f"""
        SELECT {_USER} FROM users_v2 u
        WHERE NOT is_system AND ($1::uuid IS NULL OR id < $1)
          AND ($2::text IS NULL OR strpos(
              lower(username || ' ' || display_name || ' ' || coalesce(email, '')), lower($2)) > 0)
        ORDER BY id DESC LIMIT $3
        """,
        before,
        search,
        limit,
    )
    return [_user(row) for row in rows]


async def lock_administrators(tx: Transaction) -> set[uuid.UUID]:
    """The active administrators, none of whom can change until this transaction ends."""
    rows = await tx.fetch(
        """
        SELECT id FROM users_v2 WHERE role = 'admin' AND status = 'active' AND NOT is_system
        ORDER BY id FOR UPDATE
        """
    )
    return {row["id"] for row in rows}


async def user_names(tx: Transaction, user_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, str]:
    rows = await tx.fetch("SELECT id, username FROM users_v2 WHERE id = ANY($1)", list(user_ids))
    return {row["id"]: row["username"] for row in rows}


# Logins


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
            l.user_agent, {_USER}
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
    return login, _user(row)


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


# API keys


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
            k.expires_at, k.last_used_at, {_USER}
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
    return key, row["secret_hash"], _user(row)


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


# Links


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


# Attempts to sign in


async def count_attempt(
    tx: Transaction,
    key: bytes,
    *,
    now: datetime,
    free: int,
    longest_seconds: float,
    window_seconds: float,
) -> float | None:
    """Counts an attempt; while the key is blocked it returns the seconds left instead."""
    counted = await tx.fetch_value(
        """
        INSERT INTO login_throttle AS t (key, failures, updated_at) VALUES ($1, 1, $2)
        ON CONFLICT (key) DO UPDATE SET
            updated_at = $2,
            failures = CASE
                WHEN t.updated_at < $2 - make_interval(secs => $5) THEN 1 ELSE t.failures + 1
            END,
            blocked_until = CASE
                WHEN t.updated_at >= $2 - make_interval(secs => $5) AND t.failures + 1 >= $3
                THEN $2 + make_interval(secs => least($4, 2.0 ^ least(t.failures + 1 - $3, 30)))
            END
        WHERE t.blocked_until IS NULL OR t.blocked_until <= $2
        RETURNING failures
        """,
        key,
        now,
        free,
        longest_seconds,
        window_seconds,
    )
    if counted is not None:
        return None
    until: datetime | None = await tx.fetch_value(
        "SELECT blocked_until FROM login_throttle WHERE key = $1", key
    )
    return (until - now).total_seconds() if until else 0.0


async def take_back_attempt(tx: Transaction, key: bytes, *, forget: bool) -> None:
    if forget:
        await tx.execute("DELETE FROM login_throttle WHERE key = $1", key)
        return
    await tx.execute(
        """
        UPDATE login_throttle SET failures = greatest(failures - 1, 0), blocked_until = NULL
        WHERE key = $1
        """,
        key,
    )


async def purge(tx: Transaction, *, ended_before: datetime, attempts_before: datetime) -> None:
    """Deletes what no longer means anything: ended logins, dead links, old attempts."""
    await tx.execute("DELETE FROM logins WHERE expires_at < $1 OR revoked_at < $1", ended_before)
    await tx.execute("DELETE FROM signin_links WHERE expires_at < $1", ended_before)
    await tx.execute("DELETE FROM login_throttle WHERE updated_at < $1", attempts_before)


def _user(row: Row) -> User:
    values: dict[str, Any] = {name: row[name] for name in User.__slots__}
    values |= {"role": Role(row["role"]), "status": UserStatus(row["status"])}
    return User(**values)


def _key(row: Row) -> ApiKey:
    values = dict(row)
    return ApiKey(scopes=_scopes(values.pop("scopes")), **values)


def _scopes(names: Sequence[str]) -> tuple[Permission, ...]:
    """Scopes of a newer version that this one does not know are left out."""
    known = {permission.value for permission in Permission}
    return tuple(Permission(name) for name in names if name in known)


def _link(row: Row) -> Link:
    return Link(
        purpose=LinkPurpose(row["purpose"]), user_id=row["user_id"], expires_at=row["expires_at"]
    )

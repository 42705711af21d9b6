"""Accounts."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from orchestra.features.identity.errors import UsernameTaken
from orchestra.features.identity.types import (
    NewUser,
    User,
    UserStatus,
)
from orchestra.foundation.auth import Role
from orchestra.foundation.database import Row, Transaction

USER_COLUMNS = """u.id, u.username, u.email, u.display_name, u.avatar_url, u.role,
    u.status::text AS status, u.is_system, u.preferences, u.created_at, u.last_login_at"""
_CHANGEABLE = frozenset(
    {"email", "display_name", "role", "status", "password_hash", "preferences", "last_login_at"}
)


async def insert_user(tx: Transaction, user_id: uuid.UUID, new: NewUser, *, now: datetime) -> User:
    """Raises UsernameTaken."""
    try:
        row = await tx.fetch_one(
            f"""
            INSERT INTO users_v2 AS u (id, username, email, display_name, role, is_system,
                password_hash, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) RETURNING {USER_COLUMNS}
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
    return user_of(row)


async def user_by_id(
    tx: Transaction, user_id: uuid.UUID, *, for_update: bool = False
) -> User | None:
    row = await tx.fetch_one(
        f"SELECT {USER_COLUMNS} FROM users_v2 u WHERE id = $1 {'FOR UPDATE' if for_update else ''}",
        user_id,
    )
    return user_of(row) if row else None


async def user_with_password(tx: Transaction, username: str) -> tuple[User, str | None] | None:
    """The account of that name in any case, and its password hash."""
    row = await tx.fetch_one(
        f"SELECT {USER_COLUMNS}, u.password_hash FROM users_v2 u WHERE lower(username) = lower($1)",
        username,
    )
    return (user_of(row), row["password_hash"]) if row else None


async def system_user(tx: Transaction) -> User | None:
    row = await tx.fetch_one(f"SELECT {USER_COLUMNS} FROM users_v2 u WHERE is_system")
    return user_of(row) if row else None


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
        WHERE id = $1 RETURNING {USER_COLUMNS}
        """,
        user_id,
        now,
        *changes.values(),
    )
    return user_of(row) if row else None


async def list_users(
    tx: Transaction, *, before: uuid.UUID | None, search: str | None, limit: int
) -> list[User]:
    """People from the newest down; `search` is a part of their name or address."""
    rows = await tx.fetch(
        f"""
        SELECT {USER_COLUMNS} FROM users_v2 u
        WHERE NOT is_system AND ($1::uuid IS NULL OR id < $1)
          AND ($2::text IS NULL OR strpos(
              lower(username || ' ' || display_name || ' ' || coalesce(email, '')), lower($2)) > 0)
        ORDER BY id DESC LIMIT $3
        """,
        before,
        search,
        limit,
    )
    return [user_of(row) for row in rows]


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


def user_of(row: Row) -> User:
    values: dict[str, Any] = {name: row[name] for name in User.__slots__}
    values |= {"role": Role(row["role"]), "status": UserStatus(row["status"])}
    return User(**values)

"""SQL of agents' keys, and of the tokens that are exchanged for one."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from orchestra.foundation.auth import Actor, ActorKind, Role
from orchestra.foundation.database import Database, Transaction

_KEYS = frozenset({ActorKind.AGENT, ActorKind.KEY})


@dataclass(frozen=True, slots=True)
class AgentKeyRow:
    """A key that is not revoked, and whose it is."""

    id: str
    name: str
    owner_id: uuid.UUID
    owner_role: str
    secret_hash: bytes


async def insert_enrolment(
    tx: Transaction, token_hash: bytes, *, created_by: uuid.UUID, name: str | None, seconds: float
) -> datetime:
    """Keeps a token's hash; returns when it expires."""
    expires_at: datetime = await tx.fetch_value(
        """
        INSERT INTO agent_enrolments (token_hash, created_by, name, created_at, expires_at)
        VALUES ($1, $2, $3, now(), now() + make_interval(secs => $4)) RETURNING expires_at
        """,
        token_hash,
        created_by,
        name,
        seconds,
    )
    return expires_at


async def use_enrolment(tx: Transaction, token_hash: bytes) -> tuple[uuid.UUID, str | None] | None:
    """Uses a token up; returns its maker and the name it is for, or None if it is no good."""
    row = await tx.fetch_one(
        """
        UPDATE agent_enrolments SET used_at = now()
        WHERE token_hash = $1 AND used_at IS NULL AND expires_at > now()
        RETURNING created_by, name
        """,
        token_hash,
    )
    return (row["created_by"], row["name"]) if row else None


async def insert_key(
    tx: Transaction, key_id: str, *, owner_id: uuid.UUID, name: str, secret_hash: bytes
) -> None:
    """Keeps a new key of the agent; the former ones of the same name stop working."""
    await tx.execute(
        """
        UPDATE agent_keys SET revoked_at = now()
        WHERE owner_id = $1 AND name = $2 AND revoked_at IS NULL
        """,
        owner_id,
        name,
    )
    await tx.execute(
        """
        INSERT INTO agent_keys (id, owner_id, name, secret_hash, created_at)
        VALUES ($1, $2, $3, $4, now())
        """,
        key_id,
        owner_id,
        name,
        secret_hash,
    )


async def active_key(tx: Transaction, key_id: str) -> AgentKeyRow | None:
    """A key that is not revoked, of an owner who is active."""
    row = await tx.fetch_one(
        """
        SELECT key.id, key.name, key.owner_id, key.secret_hash, owner.role
        FROM agent_keys AS key JOIN users_v2 AS owner ON owner.id = key.owner_id
        WHERE key.id = $1 AND key.revoked_at IS NULL AND owner.status = 'active'
        """,
        key_id,
    )
    if row is None:
        return None
    return AgentKeyRow(row["id"], row["name"], row["owner_id"], row["role"], row["secret_hash"])


async def not_as_admitted(database: Database, callers: Collection[Actor]) -> set[tuple[str, Role]]:
    """Keys, of agents and of people, that are not what they were admitted as, by id and role.

    They were revoked or have expired, or their owner has another role, is blocked, or is gone.
    """
    wanted = {(it.kind, it.id, it.role) for it in callers if it.kind in _KEYS}
    if not wanted:
        return set()
    rows = await database.fetch(
        """
        SELECT given.id, given.role
        FROM unnest($1::text[], $2::text[], $3::text[]) AS given (kind, id, role)
        WHERE NOT EXISTS (
            SELECT FROM agent_keys AS key JOIN users_v2 AS owner ON owner.id = key.owner_id
            WHERE given.kind = 'agent' AND key.id = given.id AND key.revoked_at IS NULL
                AND owner.status = 'active' AND owner.role::text = given.role
        ) AND NOT EXISTS (
            SELECT FROM api_keys AS key JOIN users_v2 AS owner ON owner.id = key.user_id
            WHERE given.kind = 'key' AND key.id = given.id AND key.revoked_at IS NULL
                AND (key.expires_at IS NULL OR key.expires_at > now())
                AND owner.status = 'active' AND owner.role::text = given.role
        )
        """,
        [str(kind) for kind, _, _ in wanted],
        [key for _, key, _ in wanted],
        [str(role) for _, _, role in wanted],
    )
    return {(row["id"], Role(row["role"])) for row in rows}


async def touch_key(tx: Transaction, key_id: str) -> None:
    """Notes the use of a key, right to the minute."""
    await tx.execute(
        """
        UPDATE agent_keys SET last_used_at = now()
        WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
        """,
        key_id,
    )

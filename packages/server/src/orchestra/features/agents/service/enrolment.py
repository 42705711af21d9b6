"""How an agent on another machine gets its key: for a token that works once, and not for long."""

import hashlib
import ssl
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime

from orchestra.features import audit
from orchestra.features.agents import repository
from orchestra.features.agents.errors import InvalidEnrolment
from orchestra.features.agents.service import room
from orchestra.features.agents.service.registration import MAX_NAME, is_shown
from orchestra.features.identity import (
    AGENT_KEY_PREFIX,
    REVOKED,
    mint_key,
    parse_key,
    revocation,
    user_names,
)
from orchestra.foundation import clock, ids
from orchestra.foundation.auth import ROLE_PERMISSIONS, Actor, ActorKind, Permission, Role
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import FieldError, Forbidden, InvalidInput, Unauthenticated
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

TOKEN_SECONDS = 15 * 60.0
# All that an agent's own key is good for; runs have credentials of their own for models.
KEY_PERMISSIONS = frozenset({Permission.AGENTS_CONNECT})


async def invite(tx: Transaction, actor: Actor, name: str | None) -> tuple[str, datetime]:
    """A token that lets one agent in as the actor's, and when it expires. Shown once."""
    if name is not None:
        _check_name(name)
    token = ids.new_secret()
    expires_at = await repository.insert_enrolment(
        tx, _hash(token), created_by=actor.owner, name=name, seconds=TOKEN_SECONDS
    )
    await audit.record(
        tx,
        actor,
        "agent.enrolment_created",
        target_kind="agent",
        target_id=name or "",
        details={"expires_at": expires_at.isoformat()},
    )
    return token, expires_at


def with_pin(token: str, settings: Settings) -> str:
    """Names our self-signed certificate in the token, so that the agent trusts no other server."""
    certificates = settings.data_dir / "certs"
    is_ours = (certificates / "server.expires").exists()  # not one that the operator has brought
    if not is_ours or not settings.base_url.startswith("https://"):
        return token
    der = ssl.PEM_cert_to_DER_cert((certificates / "server.crt").read_text())
    return f"{token}.sha256-{hashlib.sha256(der).hexdigest()}"


async def enrol(
    tx: Transaction, bus: Bus, settings: Settings, *, token: str, name: str, ip: str
) -> str:
    """Exchanges a token for the key of the agent `name`; raises InvalidEnrolment or TooManyAgents.

    Keys that the agent had before stop working, and the streams that were opened with them end.
    """
    _check_name(name)
    used = await repository.use_enrolment(tx, _hash(token))
    if used is None:
        raise InvalidEnrolment
    owner_id, wanted = used
    if wanted is not None and wanted != name:
        raise InvalidEnrolment(f"This token is for the agent {wanted!r}.")
    await _expect(tx, owner_id, name, most=settings.max_agents_per_owner)
    minted = mint_key(AGENT_KEY_PREFIX)
    await repository.insert_key(
        tx, minted.id, owner_id=owner_id, name=name, secret_hash=minted.secret_hash
    )
    actor = Actor(
        kind=ActorKind.AGENT,
        id=minted.id,
        name=name,
        user_id=owner_id,
        role=Role.MEMBER,
        permissions=KEY_PERMISSIONS,
        ip=ip,
    )
    await audit.record(tx, actor, "agent.enrolled", target_kind="agent", target_id=name)
    tx.after_commit(lambda: bus.announce(REVOKED, revocation(owner_id, agent=name)))
    return minted.text


async def _expect(tx: Transaction, owner_id: uuid.UUID, name: str, *, most: int) -> None:
    """Who has a key is listed, also before it comes."""
    await room.free(tx, owner_id, name, most=most)
    owner = (await user_names(tx, [owner_id])).get(owner_id, "its owner")
    reason = f"enrolled by {owner} at {clock.now():%Y-%m-%d %H:%M:%S} UTC, has not connected yet"
    await repository.insert_expected(tx, ids.new_id(), owner_id, name=name, reason=reason)


def key_check(database: Database) -> Callable[[str], Awaitable[Actor]]:
    """What processes hand to identity: turns an agent key into its actor, or raises."""

    async def check(text: str) -> Actor:
        parsed = parse_key(AGENT_KEY_PREFIX, text)
        if parsed is None:
            raise Unauthenticated("This agent key is incomplete or mistyped.")
        async with database.transaction() as tx:
            row = await repository.active_key(tx, parsed.id)
            if row is None or not parsed.matches(row.secret_hash):
                raise Unauthenticated("This agent key is not valid; enrol the agent again.")
            await repository.touch_key(tx, row.id)
        role = Role(row.owner_role)
        permissions = KEY_PERMISSIONS & ROLE_PERMISSIONS[role]
        if not permissions:
            raise Forbidden("The owner of this agent may not connect agents any more.")
        return Actor(
            kind=ActorKind.AGENT,
            id=row.id,
            name=row.name,
            user_id=row.owner_id,
            role=role,
            permissions=permissions,
        )

    return check


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= MAX_NAME or not is_shown(name):
        message = f"1 to {MAX_NAME} printable characters, no outer blanks"
        raise InvalidInput(f"name: {message}", fields=[FieldError("name", message)])

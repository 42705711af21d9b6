"""Accounts: invited, changed, switched off; there is always an administrator left."""

import uuid
from dataclasses import dataclass
from typing import Any

from orchestra.features import audit
from orchestra.features.identity import repository
from orchestra.features.identity.errors import InvalidLink, LastAdministrator
from orchestra.features.identity.service import links
from orchestra.features.identity.service.authenticator import Identity
from orchestra.features.identity.types import Link, LinkPurpose, NewUser, User, UserStatus
from orchestra.foundation import clock, ids
from orchestra.foundation.auth import SYSTEM, Actor, Role
from orchestra.foundation.database import Transaction
from orchestra.foundation.errors import Conflict, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A new account and, unless it has a password, the token of its sign-in link."""

    user: User
    link_token: str | None


async def create(tx: Transaction, actor: Actor, new: NewUser) -> Invitation:
    """Raises UsernameTaken."""
    user = await repository.insert_user(tx, ids.new_id(), new, now=clock.now())
    token = None if new.password_hash else await links.sign_in_link(tx, user.id)
    await _record(tx, actor, "user.created", user, {"username": user.username, "role": user.role})
    return Invitation(user=user, link_token=token)


async def invite_again(tx: Transaction, actor: Actor, user_id: uuid.UUID) -> Invitation:
    """A fresh sign-in link for an account, for instance when a password was forgotten."""
    user = await person(tx, user_id)
    if user.status is not UserStatus.ACTIVE:
        raise Conflict("This account is disabled; enable it first.")
    token = await links.sign_in_link(tx, user.id)
    await _record(tx, actor, "user.link_created", user, {})
    return Invitation(user=user, link_token=token)


async def person(tx: Transaction, user_id: uuid.UUID) -> User:
    """An account of a person; raises NotFound, also for this machine's own account."""
    user = await repository.user_by_id(tx, user_id, for_update=True)
    if user is None or user.is_system:
        raise NotFound
    return user


async def change(
    tx: Transaction, actor: Actor, identity: Identity, user_id: uuid.UUID, changes: dict[str, Any]
) -> User:
    """An administrator's change; raises NotFound or LastAdministrator.

    Who loses rights or gets another password is signed out everywhere, and feeds close.
    """
    administrators = await repository.lock_administrators(tx)
    before = await person(tx, user_id)
    if not changes:
        return before
    after = await _update(tx, user_id, changes)
    still_administrator = after.role is Role.ADMIN and after.status is UserStatus.ACTIVE
    if administrators == {user_id} and not still_administrator:
        raise LastAdministrator
    if _loses(before, after) or "password_hash" in changes:
        await sign_out_everywhere(tx, identity, user_id)
    elif before.role is not after.role:
        identity.revoked(tx, user_id)
    await _record(tx, actor, "user.changed", after, _told(changes))
    return after


async def change_own(tx: Transaction, actor: Actor, changes: dict[str, Any]) -> User:
    """A person's change to their own profile."""
    user = await _update(tx, actor.owner, changes)
    if told := _told({name: changes[name] for name in changes if name != "preferences"}):
        await _record(tx, actor, "profile.changed", user, told)
    return user


async def change_own_password(
    tx: Transaction, actor: Actor, identity: Identity, password_hash: str
) -> None:
    """Sets a new password and ends the person's other logins."""
    user = await _update(tx, actor.owner, {"password_hash": password_hash})
    await repository.revoke_logins(tx, user.id, now=clock.now(), keep=uuid.UUID(actor.id))
    identity.revoked(tx, user.id)
    await _record(tx, actor, "password.changed", user, {})


async def accept_link(tx: Transaction, token: str, new: NewUser) -> User:
    """Uses a link up: the first administrator gets an account, an invited person a password.

    Raises InvalidLink; also when an administrator exists by now, or the account is disabled.
    """
    link = await links.use_up(tx, token)
    if link.purpose is LinkPurpose.FIRST_ADMIN:
        return await _first_administrator(tx, new)
    user = await _invited(tx, link)
    await repository.revoke_logins(tx, user.id, now=clock.now())
    changes = {"password_hash": new.password_hash}
    if new.display_name:
        changes["display_name"] = new.display_name
    user = await _update(tx, user.id, changes)
    await _record(tx, SYSTEM, "link.used", user, {})
    return user


async def invited_name(tx: Transaction, link: Link) -> str | None:
    """The user name that a sign-in link is for."""
    return (await _invited(tx, link)).username if link.user_id else None


async def sign_out_everywhere(tx: Transaction, identity: Identity, user_id: uuid.UUID) -> None:
    """Ends every login of the user; feeds close after the commit."""
    await repository.revoke_logins(tx, user_id, now=clock.now())
    identity.revoked(tx, user_id)


async def _first_administrator(tx: Transaction, new: NewUser) -> User:
    await repository.lock(tx, repository.FIRST_ADMIN_LOCK)
    if await repository.lock_administrators(tx):
        raise InvalidLink("There is an administrator already; sign in.")
    user = await repository.insert_user(tx, ids.new_id(), new, now=clock.now())
    await _record(tx, SYSTEM, "first_admin.created", user, {"username": user.username})
    return user


async def _invited(tx: Transaction, link: Link) -> User:
    user = await repository.user_by_id(tx, link.user_id) if link.user_id else None
    if user is None or user.status is not UserStatus.ACTIVE:
        raise InvalidLink
    return user


async def _update(tx: Transaction, user_id: uuid.UUID, changes: dict[str, Any]) -> User:
    user = await repository.update_user(tx, user_id, changes, now=clock.now())
    if user is None:
        raise NotFound
    return user


def _loses(before: User, after: User) -> bool:
    disabled = before.status is UserStatus.ACTIVE and after.status is not UserStatus.ACTIVE
    ranks = {Role.VIEWER: 0, Role.MEMBER: 1, Role.ADMIN: 2}
    return disabled or ranks[after.role] < ranks[before.role]


def _told(changes: dict[str, Any]) -> dict[str, Any]:
    """What the audit log says of a change: which fields, and the values that are rights."""
    told = {name: str(changes[name]) for name in ("role", "status") if name in changes}
    return {"fields": sorted(changes), **told} if changes else {}


async def _record(
    tx: Transaction, actor: Actor, action: str, user: User, details: dict[str, Any]
) -> None:
    await audit.record(tx, actor, action, target_kind="user", target_id=user.id, details=details)

"""Signing in and out: a login is a random token in a cookie; the database keeps its hash."""

import dataclasses
import uuid
from datetime import timedelta

from orchestra.features import audit
from orchestra.features.identity import repository
from orchestra.features.identity.errors import InvalidCredentials, TooManyAttempts, WrongPassword
from orchestra.features.identity.service import throttle
from orchestra.features.identity.service.authenticator import Identity, login_actor
from orchestra.features.identity.service.passwords import Passwords, needs_rehash
from orchestra.features.identity.service.secrets import token_hash
from orchestra.features.identity.types import Client, Login, User, UserStatus
from orchestra.foundation import clock, ids
from orchestra.foundation.auth import SYSTEM, Actor
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import FieldError, NotFound
from orchestra.foundation.settings import Settings

# More browsers than a person has; the oldest ends when another begins.
MAX_LOGINS = 100


async def check_password(
    database: Database, passwords: Passwords, *, username: str, password: str, client: Client
) -> User:
    """The active account with that name and password.

    Raises InvalidCredentials, after the same time and work whatever was wrong, or TooManyAttempts.
    No transaction is open while Argon2 runs.
    """
    async with database.transaction() as tx:
        wait = await throttle.begin(tx, username=username, ip=client.ip)
        found = await repository.user_with_password(tx, username) if wait is None else None
    if wait is not None:
        raise TooManyAttempts(retry_after=wait)
    user, password_hash = found or (None, None)
    matches = await passwords.matches(password, password_hash)
    if user is None or not matches or user.status is not UserStatus.ACTIVE or user.is_system:
        await _record_failure(database, user, client)
        raise InvalidCredentials
    async with database.transaction() as tx:
        await throttle.succeeded(tx, username=username, ip=client.ip)
    if password_hash is not None and needs_rehash(password_hash):
        await _rehash(database, passwords, user.id, password)
    return user


async def confirm_password(
    database: Database, passwords: Passwords, actor: Actor, password: str, *, client: Client
) -> None:
    """Asks who is signed in for the password; raises WrongPassword or TooManyAttempts."""
    try:
        await check_password(
            database, passwords, username=actor.name, password=password, client=client
        )
    except InvalidCredentials as error:
        wrong = FieldError("current_password", "It is not right.")
        raise WrongPassword(fields=[wrong]) from error


async def open_login(tx: Transaction, user: User, client: Client, settings: Settings) -> str:
    """Signs the user in; returns the token for the cookie."""
    token, login_id, now = ids.new_secret(), ids.new_id(), clock.now()
    await repository.insert_login(
        tx,
        login_id,
        user.id,
        token_hash(token),
        client,
        now=now,
        expires_at=now + timedelta(hours=settings.login_absolute_hours),
    )
    await repository.revoke_oldest_logins(tx, user.id, keep_newest=MAX_LOGINS, now=now)
    await repository.update_user(tx, user.id, {"last_login_at": now}, now=now)
    actor = login_actor(user, login_id, ip=client.ip)
    await audit.record(tx, actor, "login.opened", target_kind="login", target_id=login_id)
    return token


async def list_own(tx: Transaction, actor: Actor, settings: Settings) -> list[Login]:
    now = clock.now()
    idle_since = now - timedelta(hours=settings.login_idle_hours)
    return await repository.list_logins(
        tx, actor.owner, now=now, idle_since=idle_since, limit=MAX_LOGINS
    )


async def end(tx: Transaction, actor: Actor, identity: Identity, login_id: uuid.UUID) -> None:
    """Ends one of the actor's logins; raises NotFound for anything else."""
    ended = await repository.revoke_login(tx, login_id, user_id=actor.owner, now=clock.now())
    if not ended:
        raise NotFound
    identity.revoked(tx, actor.owner)
    await audit.record(tx, actor, "login.ended", target_kind="login", target_id=login_id)


async def _record_failure(database: Database, user: User | None, client: Client) -> None:
    actor = dataclasses.replace(SYSTEM, ip=client.ip)
    async with database.transaction() as tx:
        await audit.record(
            tx,
            actor,
            "login.refused",
            target_kind="user",
            target_id=user.id if user else "unknown",
        )


async def _rehash(
    database: Database, passwords: Passwords, user_id: uuid.UUID, password: str
) -> None:
    fresh = await passwords.hash(password)
    async with database.transaction() as tx:
        await repository.update_user(tx, user_id, {"password_hash": fresh}, now=clock.now())

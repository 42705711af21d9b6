"""API keys: what a program may do for its owner, and the key of this machine itself."""

from datetime import timedelta
from pathlib import Path

from orchestra.features import audit
from orchestra.features.identity import repository
from orchestra.features.identity.errors import TooManyKeys
from orchestra.features.identity.service.authenticator import API_KEY_PREFIX
from orchestra.features.identity.service.secrets import MintedKey, ParsedKey, mint_key, parse_key
from orchestra.features.identity.types import ApiKey, NewUser, User
from orchestra.foundation import clock, ids, keyfiles
from orchestra.foundation.auth import SYSTEM, Actor, Permission, Role
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import FieldError, Forbidden, InvalidInput, NotFound
from orchestra.foundation.settings import Settings

MAX_KEYS = 100
LOCAL_NAME = "local"


async def create(
    tx: Transaction,
    actor: Actor,
    *,
    name: str,
    scopes: list[Permission],
    expires_in_days: int | None,
) -> tuple[ApiKey, str]:
    """A key and its text, which nobody sees again. A key cannot do more than who makes it."""
    if beyond := sorted(set(scopes) - actor.permissions):
        raise Forbidden(f"You cannot give what you do not have: {', '.join(beyond)}.")
    if not scopes:
        raise InvalidInput("Choose at least one scope.", fields=[FieldError("scopes", "empty")])
    if len(await repository.list_keys(tx, actor.owner, limit=MAX_KEYS)) >= MAX_KEYS:
        raise TooManyKeys
    minted, now = mint_key(API_KEY_PREFIX), clock.now()
    key = ApiKey(
        id=minted.id,
        user_id=actor.owner,
        name=name,
        scopes=tuple(sorted(set(scopes))),
        created_at=now,
        expires_at=now + timedelta(days=expires_in_days) if expires_in_days else None,
        last_used_at=None,
    )
    await repository.insert_key(tx, key, minted.secret_hash)
    await audit.record(
        tx,
        actor,
        "key.created",
        target_kind="key",
        target_id=key.id,
        details={"name": name, "scopes": list(key.scopes), "expires_in_days": expires_in_days},
    )
    return key, minted.text


async def list_own(tx: Transaction, actor: Actor) -> list[ApiKey]:
    return await repository.list_keys(tx, actor.owner, limit=MAX_KEYS)


async def revoke(tx: Transaction, actor: Actor, key_id: str) -> None:
    """Ends one of the actor's keys; raises NotFound for anything else."""
    names = await repository.revoke_keys(tx, actor.owner, now=clock.now(), key_id=key_id)
    if not names:
        raise NotFound
    await audit.record(
        tx, actor, "key.revoked", target_kind="key", target_id=key_id, details={"name": names[0]}
    )


async def ensure_local_key(database: Database, settings: Settings) -> Path:
    """Makes sure that the file `keys/local.key` (0600) holds a key that may do everything here.

    Who can read that file can read the data directory and thereby the database, so the key gives
    nothing away. Its account cannot sign in and appears in no list.
    """
    path = settings.keys_dir / "local.key"
    async with database.transaction() as tx:
        await repository.lock(tx, repository.LOCAL_KEY_LOCK)
        user = await _local_user(tx)
        if await _still_good(tx, user, path):
            return path
        minted = await _replace_local_key(tx, user)
    keyfiles.replace(path, minted.text.encode() + b"\n")
    return path


async def _local_user(tx: Transaction) -> User:
    user = await repository.system_user(tx)
    if user is not None:
        return user
    new = NewUser(username=LOCAL_NAME, role=Role.ADMIN, display_name="This machine", is_system=True)
    return await repository.insert_user(tx, ids.new_id(), new, now=clock.now())


async def _still_good(tx: Transaction, user: User, path: Path) -> bool:
    parsed = _read_key(path)
    found = await repository.active_key(tx, parsed.id, now=clock.now()) if parsed else None
    if parsed is None or found is None or found[2].id != user.id or not parsed.matches(found[1]):
        return False
    await repository.set_key_scopes(tx, parsed.id, list(Permission))
    return True


def _read_key(path: Path) -> ParsedKey | None:
    try:
        path.chmod(0o600)
        return parse_key(API_KEY_PREFIX, path.read_text().strip())
    except (OSError, UnicodeDecodeError):
        return None


async def _replace_local_key(tx: Transaction, user: User) -> MintedKey:
    minted, now = mint_key(API_KEY_PREFIX), clock.now()
    await repository.revoke_keys(tx, user.id, now=now)
    key = ApiKey(
        id=minted.id,
        user_id=user.id,
        name=LOCAL_NAME,
        scopes=tuple(Permission),
        created_at=now,
        expires_at=None,
        last_used_at=None,
    )
    await repository.insert_key(tx, key, minted.secret_hash)
    await audit.record(tx, SYSTEM, "local_key.created", target_kind="key", target_id=key.id)
    return minted

"""One-time links: the first administrator's, and those of people who choose a password."""

import uuid
from datetime import timedelta

from orchestra.features.identity import repository
from orchestra.features.identity.errors import InvalidLink
from orchestra.features.identity.service.secrets import token_hash
from orchestra.features.identity.types import Link, LinkPurpose
from orchestra.foundation import clock, ids
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.settings import Settings

LIFE = timedelta(hours=24)


async def first_admin_link(database: Database, settings: Settings) -> str | None:
    """A new token for the first administrator's link, or None once there is one.

    Called at every start: an older link stops working, so that only who sees the newest start can
    use it.
    """
    del settings
    async with database.transaction() as tx:
        await repository.lock(tx, repository.FIRST_ADMIN_LOCK)
        await repository.drop_links(tx, purpose=LinkPurpose.FIRST_ADMIN, user_id=None)
        if await repository.lock_administrators(tx):
            return None
        return await _create(tx, LinkPurpose.FIRST_ADMIN, None)


async def sign_in_link(tx: Transaction, user_id: uuid.UUID) -> str:
    """A token for a person's link; their older ones stop working."""
    await repository.drop_links(tx, purpose=LinkPurpose.SIGN_IN, user_id=user_id)
    return await _create(tx, LinkPurpose.SIGN_IN, user_id)


async def look(tx: Transaction, token: str) -> Link:
    """What a link is for, without using it up; raises InvalidLink."""
    link = await repository.usable_link(tx, token_hash(token), now=clock.now())
    if link is None:
        raise InvalidLink
    return link


async def use_up(tx: Transaction, token: str) -> Link:
    """Uses a link up, once; raises InvalidLink."""
    link = await repository.use_link(tx, token_hash(token), now=clock.now())
    if link is None:
        raise InvalidLink
    return link


async def _create(tx: Transaction, purpose: LinkPurpose, user_id: uuid.UUID | None) -> str:
    token, now = ids.new_secret(), clock.now()
    link = Link(purpose=purpose, user_id=user_id, expires_at=now + LIFE)
    await repository.insert_link(tx, token_hash(token), link, now=now)
    return token

"""Conversations: making, finding, renaming and deleting them."""

import re
import uuid
from datetime import datetime

from orchestra.features import tasks
from orchestra.features.chat import events, repository
from orchestra.features.chat.errors import ConversationNotFound
from orchestra.features.chat.types import Conversation, ConversationId
from orchestra.features.events import Outbox
from orchestra.foundation import clock, ids
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Transaction, without_nul
from orchestra.foundation.messaging import Bus

TITLE_LENGTH = 60
_SPACE = re.compile(r"\s+")
_MARKUP = re.compile(r"^[#>*\-\s`]+")


async def create(
    tx: Transaction, outbox: Outbox, actor: Actor, *, title: str, model: str | None
) -> Conversation:
    now = clock.now()
    conversation = Conversation(
        id=ConversationId(ids.new_id()),
        user_id=actor.owner,
        title=clean(title),
        model=model,
        created_at=now,
        updated_at=now,
    )
    await repository.insert_conversation(tx, conversation)
    await outbox.add(tx, events.updated(actor.owner, conversation.id))
    return conversation


async def get(
    tx: Transaction, actor: Actor, conversation_id: uuid.UUID, *, lock: bool = False
) -> Conversation:
    """The caller's conversation; raises ConversationNotFound for anybody else's."""
    found = await repository.get(tx, conversation_id, actor.owner, lock=lock)
    if found is None:
        raise ConversationNotFound
    return found


async def find(
    tx: Transaction,
    actor: Actor,
    *,
    search: str | None,
    before: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> list[Conversation]:
    """One page and one more if there is one; `search` is text that the title contains."""
    pattern = _pattern(search) if search and search.strip() else None
    return await repository.find(tx, actor.owner, search=pattern, before=before, limit=limit + 1)


async def change(
    tx: Transaction,
    outbox: Outbox,
    actor: Actor,
    conversation_id: uuid.UUID,
    *,
    title: str | None,
    model: str | None,
) -> Conversation:
    await get(tx, actor, conversation_id, lock=True)
    title = clean(title) if title is not None else None
    await repository.update_conversation(
        tx, conversation_id, now=clock.now(), title=title, model=model
    )
    await outbox.add(tx, events.updated(actor.owner, conversation_id))
    return await get(tx, actor, conversation_id)


async def delete(
    tx: Transaction, outbox: Outbox, bus: Bus, actor: Actor, conversation_id: uuid.UUID
) -> None:
    """Takes it away, and stops what is being written in it."""
    conversation = await get(tx, actor, conversation_id)
    # Tasks before the conversation: who ends a task locks in this order too.
    for message in await repository.streaming(tx, conversation.id):
        if message.task_id is not None:
            await tasks.cancel(
                tx, outbox, bus, actor, message.task_id, "The conversation was deleted."
            )
    await repository.delete_conversation(tx, conversation.id, now=clock.now())
    await outbox.add(tx, events.updated(actor.owner, conversation.id, is_deleted=True))


def title_from(content: str) -> str:
    """The beginning of the first message that says something, without markup, cut at a word."""
    lines = (_MARKUP.sub("", line) for line in content.splitlines())
    text = clean(next((line for line in lines if line.strip()), content))
    if len(text) <= TITLE_LENGTH:
        return text
    cut = text[:TITLE_LENGTH]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > TITLE_LENGTH // 2 else cut).rstrip() + "…"


def clean(text: str) -> str:
    return _SPACE.sub(" ", without_nul(text)).strip()


def _pattern(search: str) -> str:
    escaped = re.sub(r"([\\%_])", r"\\\1", without_nul(search.strip()))
    return f"%{escaped}%"

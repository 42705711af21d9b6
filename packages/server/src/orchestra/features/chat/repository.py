"""SQL of conversations and messages."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from orchestra.features.chat.types import (
    Conversation,
    ConversationId,
    Message,
    MessageState,
    Role,
)
from orchestra.foundation.database import Row, Transaction

_CONVERSATION = "id, user_id, title, model, created_at, updated_at"
_MESSAGE = """id, conversation_id, role, content, task_id, model, state, error, usage, reply_to,
    place, created_at, edited_at"""
PREVIEW = 160
# Kept in the column `usage`, beside what the model has counted.
_REASON = "finish_reason"

# Only our own column lists are put into these.
_FIND = f"""
SELECT {_CONVERSATION}, (
    SELECT left(content, {PREVIEW}) FROM messages
    WHERE conversation_id = conversations.id AND superseded_at IS NULL AND content <> ''
    ORDER BY place DESC LIMIT 1
) AS preview
FROM conversations
WHERE user_id = $1 AND deleted_at IS NULL
    AND ($2::text IS NULL OR title ILIKE $2)
    AND ($3::timestamptz IS NULL OR (updated_at, id) < ($3, $4::uuid))
ORDER BY updated_at DESC, id DESC LIMIT $5
"""
_GET = f"""
SELECT {_CONVERSATION} FROM conversations WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL
"""
_PAGE = f"""
SELECT {_MESSAGE} FROM messages
WHERE conversation_id = $1 AND superseded_at IS NULL AND ($2::bigint IS NULL OR place < $2)
ORDER BY place DESC LIMIT $3
"""
_MESSAGE_BY_ID = f"""
SELECT {_MESSAGE} FROM messages
WHERE conversation_id = $1 AND id = $2 AND superseded_at IS NULL
"""
_BY_ID = f"SELECT {_MESSAGE} FROM messages WHERE id = $1"
_BY_KEY = f"""
SELECT {_MESSAGE} FROM messages WHERE conversation_id = $1 AND idempotency_key = $2
"""
_STREAMING = f"""
SELECT {_MESSAGE} FROM messages
WHERE conversation_id = $1 AND state = 'streaming' AND superseded_at IS NULL
ORDER BY place LIMIT 10
"""
_INSERT = f"""
INSERT INTO messages (id, conversation_id, role, content, task_id, model, state, reply_to,
    idempotency_key, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING {_MESSAGE}
"""
_EDIT = f"""
UPDATE messages SET content = $2, edited_at = $3 WHERE id = $1 RETURNING {_MESSAGE}
"""


# Conversations


async def insert_conversation(tx: Transaction, conversation: Conversation) -> None:
    await tx.execute(
        """
        INSERT INTO conversations (id, user_id, title, model, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $5)
        """,
        conversation.id,
        conversation.user_id,
        conversation.title,
        conversation.model,
        conversation.created_at,
    )


async def get(
    tx: Transaction, conversation_id: uuid.UUID, user_id: uuid.UUID, *, lock: bool = False
) -> Conversation | None:
    """A person's conversation; with `lock`, nobody else changes it until the transaction ends."""
    row = await tx.fetch_one(_GET + (" FOR UPDATE" if lock else ""), conversation_id, user_id)
    return _to_conversation(row) if row else None


async def find(
    tx: Transaction,
    user_id: uuid.UUID,
    *,
    search: str | None,
    before: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> list[Conversation]:
    """The person's conversations, last changed first. `search` is a pattern for ILIKE."""
    at, conversation_id = before or (None, None)
    rows = await tx.fetch(_FIND, user_id, search, at, conversation_id, limit)
    return [_to_conversation(row, preview=row["preview"]) for row in rows]


async def update_conversation(
    tx: Transaction,
    conversation_id: uuid.UUID,
    *,
    now: datetime,
    title: str | None = None,
    model: str | None = None,
) -> None:
    """Sets what is given, and when it changed."""
    await tx.execute(
        """
        UPDATE conversations SET updated_at = $2, title = coalesce($3, title),
            model = coalesce($4, model)
        WHERE id = $1
        """,
        conversation_id,
        now,
        title,
        model,
    )


async def delete_conversation(
    tx: Transaction, conversation_id: uuid.UUID, *, now: datetime
) -> None:
    await tx.execute("UPDATE conversations SET deleted_at = $2 WHERE id = $1", conversation_id, now)


async def owner_of(tx: Transaction, conversation_id: uuid.UUID) -> uuid.UUID | None:
    """Whose it is, also when deleted; locks it."""
    return await tx.fetch_value(
        "SELECT user_id FROM conversations WHERE id = $1 FOR UPDATE", conversation_id
    )


async def purge(tx: Transaction, *, deleted_before: datetime, limit: int) -> int:
    """Removes conversations that were deleted long ago, with their messages."""
    return await tx.execute(
        """
        DELETE FROM conversations WHERE id IN (
            SELECT id FROM conversations WHERE deleted_at < $1 LIMIT $2
        )
        """,
        deleted_before,
        limit,
    )


# Messages


async def insert_message(tx: Transaction, message: Message, *, key: str | None = None) -> Message:
    row = await tx.fetch_one(
        _INSERT,
        message.id,
        message.conversation_id,
        message.role,
        message.content,
        message.task_id,
        message.model,
        message.state,
        message.reply_to,
        key,
        message.created_at,
    )
    return _required(row)


async def page(
    tx: Transaction, conversation_id: uuid.UUID, *, before: int | None, limit: int
) -> list[Message]:
    """Messages that were not superseded, newest first."""
    return [_to_message(row) for row in await tx.fetch(_PAGE, conversation_id, before, limit)]


async def newest_texts(
    tx: Transaction, conversation_id: uuid.UUID, *, limit: int, characters: int
) -> list[tuple[str, str]]:
    """Role and content of the newest messages that say something, each cut after `characters`."""
    rows = await tx.fetch(
        """
        SELECT role, left(content, $3) AS content FROM messages
        WHERE conversation_id = $1 AND superseded_at IS NULL AND content <> ''
        ORDER BY place DESC LIMIT $2
        """,
        conversation_id,
        limit,
        characters,
    )
    return [(row["role"], row["content"]) for row in rows]


async def message(
    tx: Transaction, conversation_id: uuid.UUID, message_id: uuid.UUID
) -> Message | None:
    row = await tx.fetch_one(_MESSAGE_BY_ID, conversation_id, message_id)
    return _to_message(row) if row else None


async def message_by_id(tx: Transaction, message_id: uuid.UUID) -> Message | None:
    row = await tx.fetch_one(_BY_ID, message_id)
    return _to_message(row) if row else None


async def message_by_key(tx: Transaction, conversation_id: uuid.UUID, key: str) -> Message | None:
    row = await tx.fetch_one(_BY_KEY, conversation_id, key)
    return _to_message(row) if row else None


async def streaming(tx: Transaction, conversation_id: uuid.UUID) -> list[Message]:
    return [_to_message(row) for row in await tx.fetch(_STREAMING, conversation_id)]


async def streaming_anywhere(
    tx: Transaction, *, created_before: datetime, limit: int
) -> list[tuple[ConversationId, uuid.UUID]]:
    """Conversations and tasks of answers that are being written, the longest first."""
    rows = await tx.fetch(
        """
        SELECT conversation_id, task_id FROM messages
        WHERE state = 'streaming' AND created_at < $1 AND task_id IS NOT NULL
        ORDER BY created_at LIMIT $2
        """,
        created_before,
        limit,
    )
    return [(row["conversation_id"], row["task_id"]) for row in rows]


async def conversation_of_task(tx: Transaction, task_id: uuid.UUID) -> ConversationId | None:
    return await tx.fetch_value(
        "SELECT conversation_id FROM messages WHERE task_id = $1 AND state = 'streaming'", task_id
    )


async def end_answer(
    tx: Transaction,
    task_id: uuid.UUID,
    *,
    state: MessageState,
    content: str,
    error: dict[str, Any] | None,
    usage: dict[str, Any] | None,
    finish_reason: str | None,
) -> bool:
    """Fills the answer that the task was writing; False if that was done before."""
    facts = {**(usage or {}), **({_REASON: finish_reason} if finish_reason else {})}
    changed = await tx.execute(
        """
        UPDATE messages SET state = $2, content = $3, error = $4, usage = $5
        WHERE task_id = $1 AND state = 'streaming'
        """,
        task_id,
        state,
        content,
        error,
        facts or None,
    )
    return changed > 0


async def edit(tx: Transaction, message_id: uuid.UUID, content: str, *, now: datetime) -> Message:
    return _required(await tx.fetch_one(_EDIT, message_id, content, now))


async def supersede(
    tx: Transaction, conversation_id: uuid.UUID, *, from_place: int, now: datetime
) -> Sequence[uuid.UUID]:
    """Takes everything from a place on out of the conversation."""
    rows = await tx.fetch(
        """
        UPDATE messages SET superseded_at = $3
        WHERE conversation_id = $1 AND place >= $2 AND superseded_at IS NULL RETURNING id
        """,
        conversation_id,
        from_place,
        now,
    )
    return [row["id"] for row in rows]


def _required(row: Row | None) -> Message:
    if row is None:
        raise LookupError("a row that was just written is not there")
    return _to_message(row)


def _to_conversation(row: Row, *, preview: str | None = None) -> Conversation:
    return Conversation(
        id=row["id"],
        user_id=row["user_id"],
        title=row["title"],
        model=row["model"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_message_preview=preview,
    )


def _to_message(row: Row) -> Message:
    usage: dict[str, Any] = dict(row["usage"] or {})
    finish_reason = usage.pop(_REASON, None)
    return Message(
        id=row["id"],
        conversation_id=row["conversation_id"],
        role=Role(row["role"]),
        content=row["content"] or "",
        task_id=row["task_id"],
        model=row["model"],
        state=MessageState(row["state"]),
        error=row["error"],
        usage=usage or None,
        finish_reason=finish_reason,
        reply_to=row["reply_to"],
        place=row["place"],
        created_at=row["created_at"],
        edited_at=row["edited_at"],
    )

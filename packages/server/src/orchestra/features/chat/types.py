"""Conversations and their messages as the database has them."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

ConversationId = NewType("ConversationId", uuid.UUID)
MessageId = NewType("MessageId", uuid.UUID)

CAPABILITY = "chat"
UPDATED = "conversation.updated"


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"


class MessageState(StrEnum):
    COMPLETE = "complete"
    STREAMING = "streaming"  # an agent is writing it
    FAILED = "failed"
    STOPPED = "stopped"  # somebody stopped it; what was written stays


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    id: ConversationId
    user_id: uuid.UUID
    title: str
    model: str | None  # None: the default one
    created_at: datetime
    updated_at: datetime
    last_message_preview: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`cursor` is where to go on in the task's feed while the answer is being written.

    `finish_reason` is the model's word for why it ended, such as `stop` or `length`.
    """

    id: MessageId
    conversation_id: ConversationId
    role: Role
    content: str
    task_id: uuid.UUID | None
    model: str | None
    state: MessageState
    error: dict[str, Any] | None
    usage: dict[str, Any] | None
    reply_to: MessageId | None
    place: int
    created_at: datetime
    edited_at: datetime | None
    finish_reason: str | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said and the answer to it."""

    user_message: Message
    assistant_message: Message

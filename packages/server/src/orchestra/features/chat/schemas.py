"""What callers send and get in JSON."""

import uuid
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from orchestra.features.chat.types import Conversation, Message, Turn
from orchestra.foundation.web import Body, View

Title = Annotated[str, msgspec.Meta(max_length=200)]
Model = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NewConversation(Body):
    title: Title | None = None
    model: Model | None = None


class ConversationPatch(Body):
    title: Title | UnsetType = UNSET
    model: Model | UnsetType = UNSET


class Content(Body):
    """What somebody says: up to 32 KiB of text, Markdown allowed."""

    content: str


class ConversationView(View):
    """`title` is null until the first message gives it one."""

    id: uuid.UUID
    title: str | None
    model: str | None
    created_at: datetime
    updated_at: datetime
    last_message_preview: str | None


class MessageView(View):
    """While `state` is `streaming`, `content` is the text so far; its feed goes on at `cursor`.

    `finish_reason` is why the model ended, if its agent said so: `length` when it had no more room.
    """

    id: uuid.UUID
    conversation_id: uuid.UUID
    role: str
    content: str
    task_id: uuid.UUID | None
    state: str
    error: dict[str, Any] | None
    usage: dict[str, Any] | None
    finish_reason: str | None
    model: str | None
    created_at: datetime
    edited_at: datetime | None
    cursor: str | None


class TurnView(View):
    user_message: MessageView
    assistant_message: MessageView


class AnswerView(View):
    assistant_message: MessageView


def conversation_view(conversation: Conversation) -> ConversationView:
    return ConversationView(
        id=conversation.id,
        title=conversation.title or None,
        model=conversation.model,
        created_at=conversation.created_at,
        updated_at=conversation.updated_at,
        last_message_preview=conversation.last_message_preview,
    )


def message_view(message: Message) -> MessageView:
    return MessageView(
        id=message.id,
        conversation_id=message.conversation_id,
        role=message.role,
        content=message.content,
        task_id=message.task_id,
        state=message.state,
        error=message.error,
        usage=message.usage,
        finish_reason=message.finish_reason,
        model=message.model,
        created_at=message.created_at,
        edited_at=message.edited_at,
        cursor=message.cursor,
    )


def turn_view(turn: Turn) -> TurnView:
    return TurnView(
        user_message=message_view(turn.user_message),
        assistant_message=message_view(turn.assistant_message),
    )

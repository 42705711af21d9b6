"""What the model is told of a conversation: the newest messages, bounded in number and size."""

import uuid

from orchestra.features.chat import repository
from orchestra.features.chat.types import Message
from orchestra.foundation.database import Transaction

MAX_MESSAGES = 50
# Some 8,000 tokens; agents shorten further for small models.
MAX_CHARACTERS = 32_000


async def for_model(tx: Transaction, conversation_id: uuid.UUID) -> list[dict[str, str]]:
    """Messages with content, oldest first; the newest is there however long it is."""
    newest = await repository.page(tx, conversation_id, before=None, limit=MAX_MESSAGES)
    chosen = _fitting([message for message in newest if message.content])
    return [{"role": message.role.value, "content": message.content} for message in chosen]


def _fitting(newest_first: list[Message]) -> list[Message]:
    chosen: list[Message] = []
    left = MAX_CHARACTERS
    for message in newest_first:
        left -= len(message.content)
        if chosen and left < 0:
            break
        chosen.append(message)
    return chosen[::-1]

"""What the model is told of a conversation: the newest messages, bounded in number and size."""

import uuid

from orchestra.features.chat import repository
from orchestra.foundation.database import Transaction

MAX_MESSAGES = 50
# Some 8,000 tokens; agents shorten further for small models.
MAX_CHARACTERS = 32_000


async def for_model(tx: Transaction, conversation_id: uuid.UUID) -> list[dict[str, str]]:
    """Messages with content, oldest first; the newest is there however long it is."""
    newest = await repository.newest_texts(
        tx, conversation_id, limit=MAX_MESSAGES, characters=MAX_CHARACTERS
    )
    return [{"role": role, "content": content} for role, content in _fitting(newest)]


def _fitting(newest_first: list[tuple[str, str]]) -> list[tuple[str, str]]:
    chosen: list[tuple[str, str]] = []
    left = MAX_CHARACTERS
    for role, content in newest_first:
        left -= len(content)
        if chosen and left < 0:
            break
        chosen.append((role, content))
    return chosen[::-1]

"""Reading messages as they are now."""

import uuid

from orchestra.features.chat import repository
from orchestra.features.chat.service import answers
from orchestra.features.chat.types import Message
from orchestra.foundation.database import Transaction

# An answer may be a mebibyte long; a page of two hundred such would be too much for anybody.
PAGE_CHARACTERS = 1_000_000


async def page(
    tx: Transaction, conversation_id: uuid.UUID, *, before: int | None, limit: int
) -> tuple[list[Message], bool]:
    """One page, newest first, answers as far as they are written; and whether there are more."""
    found = await repository.page(tx, conversation_id, before=before, limit=limit + 1)
    chosen = _fitting(found[:limit])
    return await answers.with_tasks(tx, chosen), len(chosen) < len(found)


def _fitting(messages: list[Message]) -> list[Message]:
    """As many as fit into a page, at least one."""
    left = PAGE_CHARACTERS
    for count, message in enumerate(messages):
        left -= len(message.content)
        if left < 0:
            return messages[: max(1, count)]
    return messages

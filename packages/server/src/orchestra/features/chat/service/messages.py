"""Reading messages as they are now."""

import uuid

from orchestra.features.chat import repository
from orchestra.features.chat.service import answers
from orchestra.features.chat.types import Message
from orchestra.foundation.database import Transaction


async def page(
    tx: Transaction, conversation_id: uuid.UUID, *, before: int | None, limit: int
) -> list[Message]:
    """One page and one more if there is one, newest first; answers as far as they are written."""
    found = await repository.page(tx, conversation_id, before=before, limit=limit + 1)
    return await answers.with_tasks(tx, found)

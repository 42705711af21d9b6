"""What chat announces."""

import uuid

from orchestra.features.chat.types import UPDATED
from orchestra.features.events import event_payload, user_topic
from orchestra.foundation.messaging import Message


def updated(user_id: uuid.UUID, conversation_id: uuid.UUID, *, is_deleted: bool = False) -> Message:
    """Something about a conversation is different: its title, its messages, or that it is gone."""
    fact = {"conversation_id": conversation_id, "deleted": is_deleted}
    return Message(user_topic(user_id), event_payload(UPDATED, fact))

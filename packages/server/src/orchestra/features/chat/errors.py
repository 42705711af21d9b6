"""What can be wrong with a conversation."""

from typing import ClassVar

from orchestra.foundation.errors import Conflict, InvalidInput, NotFound, TooLarge


class ConversationNotFound(NotFound):
    """There is no such conversation, or it is somebody else's."""

    code: ClassVar[str] = "conversation_not_found"


class MessageNotFound(NotFound):
    """There is no such message in this conversation."""

    code: ClassVar[str] = "message_not_found"


class TurnInProgress(Conflict):
    """An answer is still being written: wait for its end, or stop it first."""

    code: ClassVar[str] = "turn_in_progress"


class NotThisMessage(Conflict):
    """This can be done with your own messages only."""

    code: ClassVar[str] = "wrong_role"


class MessageTooLong(TooLarge):
    """A message may be 32 KiB long; send long text as several messages."""

    code: ClassVar[str] = "message_too_long"


class KeyReused(InvalidInput):
    """This idempotency key was used for another message."""

    code: ClassVar[str] = "idempotency_conflict"


class UnknownModel(InvalidInput):
    """There is no such model here; list the models to see their names."""

    code: ClassVar[str] = "unknown_model"

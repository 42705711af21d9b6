"""What can be wrong with a task."""

from typing import ClassVar

from orchestra.foundation.errors import Conflict, InvalidInput, NotFound, TooLarge, Unavailable


class TaskNotFound(NotFound):
    """There is no such task, or it is somebody else's."""

    code: ClassVar[str] = "task_not_found"


class NotAllowed(Conflict):
    """The task's state does not allow this."""

    code: ClassVar[str] = "task_state"


class StaleEpoch(Conflict):
    """The lease under which this was written is over."""

    code: ClassVar[str] = "stale_epoch"


class IdempotencyConflict(InvalidInput):
    """This idempotency key was used for another task."""

    code: ClassVar[str] = "idempotency_conflict"


class InputTooLarge(TooLarge):
    """The input is larger than allowed."""

    code: ClassVar[str] = "input_too_large"


class QueueFull(Unavailable):
    """Too many tasks wait; try again in a moment."""

    code: ClassVar[str] = "queue_full"


class SequenceGap(Conflict):
    """Events of a run are missing; they are sent again after the next Welcome."""

    code: ClassVar[str] = "sequence_gap"


class BadMessage(InvalidInput):
    """A message of the stream cannot be understood."""

    code: ClassVar[str] = "bad_message"

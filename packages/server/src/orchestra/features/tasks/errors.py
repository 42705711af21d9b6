"""What can be wrong with a task."""

from typing import ClassVar

from orchestra.foundation.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    RateLimited,
    TooLarge,
    Unavailable,
)


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


class UnknownBlob(InvalidInput):
    """The value refers to a blob that does not exist, or is somebody else's."""

    code: ClassVar[str] = "unknown_blob"


class QueueFull(Unavailable):
    """Too many tasks wait; try again in a moment."""

    code: ClassVar[str] = "queue_full"


class SequenceGap(Conflict):
    """Events of a run are missing; they are sent again after the next Welcome."""

    code: ClassVar[str] = "sequence_gap"


class BadMessage(InvalidInput):
    """A message of the stream cannot be understood."""

    code: ClassVar[str] = "bad_message"


class NameTaken(Conflict):
    """The name was used for another kind of step in an earlier run of this task."""

    code: ClassVar[str] = "nondeterministic"


class StepChanged(Conflict):
    """The name was used for something else in an earlier run of this task."""

    code: ClassVar[str] = "nondeterministic"

    def __init__(self, name: str, *, differs: str) -> None:
        super().__init__(
            f"{name!r} is not what it was in an earlier run: {differs} differs. Compute what can "
            "change (a time, a price) in a ctx.step, and give what is new another name."
        )


class TooMany(Conflict):
    """The task has as many steps or children as it may."""

    code: ClassVar[str] = "too_many_steps"


class StepsTooLarge(TooLarge):
    """What the steps of the task return is more, together, than a later run could be told."""

    code: ClassVar[str] = "steps_too_large"


class OutcomeTooLarge(TooLarge):
    """An outcome that the task waits for does not fit into a message to its agent."""

    code: ClassVar[str] = "outcome_too_large"


class TooDeep(Conflict):
    """The tree of tasks is as deep as it may be."""

    code: ClassVar[str] = "too_deep"


class Cycle(Conflict):
    """A task above this one does the same with the same input: it would never end."""

    code: ClassVar[str] = "cycle"


class BeingCancelled(Conflict):
    """The task is being cancelled; it begins nothing new."""

    code: ClassVar[str] = "cancelling"


class UnknownStep(InvalidInput):
    """The task has no step of this name to wait for."""

    code: ClassVar[str] = "unknown_step"


class BadCommand(InvalidInput):
    """The command cannot be understood."""

    code: ClassVar[str] = "bad_command"


class ApprovalNotFound(NotFound):
    """There is no such approval, or it is for somebody else to answer."""

    code: ClassVar[str] = "approval_not_found"


class ApprovalChanged(Conflict):
    """The answer names another hash than the approval has: look again at what it approves."""

    code: ClassVar[str] = "approval_changed"


class ApprovalClosed(Conflict):
    """The approval was answered, has expired, or is not wanted any more."""

    code: ClassVar[str] = "approval_closed"


class NotCancelled(NotFound):
    """Nobody has asked this task to stop."""

    code: ClassVar[str] = "not_cancelled"


class ThisQueueFull(RateLimited):
    """Too many tasks wait in this queue; try again in a moment."""

    code: ClassVar[str] = "queue_full"


class QueueNotFound(NotFound):
    """There is no such queue: name a capability, or an agent that you may see."""

    code: ClassVar[str] = "queue_not_found"


class LimitNotFound(NotFound):
    """There is no such limit."""

    code: ClassVar[str] = "limit_not_found"


class TooManyLimits(Conflict):
    """There are as many limits as there can be; remove one first."""

    code: ClassVar[str] = "too_many_limits"

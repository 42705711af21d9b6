"""What can go wrong, as seen by the author of an agent.

AgentError
├── NotConfigured      no url or key was found
├── AccessDenied       the control plane does not accept the credential
├── Rejected           the control plane does not accept the agent as it describes itself
├── StateInUse         another process works with the same state directory
├── EnrolmentFailed    the one-time token was not exchanged for a credential
├── LoadFailed         a file does not hold exactly one agent
└── TaskError          raised by a handler: the task failed
    ├── InvalidInput   the input does not fit the handler's annotation
    ├── ChildFailed    a child task ended without a result
    ├── ApprovalExpired  nobody answered in time
    └── BlobError      a large value was not stored or fetched

TaskCancelled stands apart: like `asyncio.CancelledError`, which it is, `except Exception` must not
swallow it. So does Suspended, which is private: no handler should ever catch it.
"""

import asyncio


class AgentError(Exception):
    """The agent cannot do what was asked."""


class NotConfigured(AgentError):
    """No address or no key of a control plane was found."""


class AccessDenied(AgentError):
    """The control plane does not accept the agent's key."""


class Rejected(AgentError):
    """The control plane does not accept the agent's description of itself."""


class StateInUse(AgentError):
    """Another process of this agent works with the same state directory."""


class EnrolmentFailed(AgentError):
    """The enrolment token was not accepted."""


class LoadFailed(AgentError):
    """The file does not hold exactly one agent."""


class TaskError(AgentError):
    """A task failed, in the author's words.

    `code` is a short word for programs, `retryable` says whether another attempt may succeed.
    """

    def __init__(self, message: str, *, code: str = "task_error", retryable: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.retryable = retryable


class InvalidInput(TaskError):
    """The input does not fit the handler's annotation; another attempt would fail the same way."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="invalid_input", retryable=False)


class ChildFailed(TaskError):
    """A child task ended without a result; `code` and `message` are the child's.

    Not retryable: its end is kept, and every attempt of the parent would see the same.
    """

    def __init__(self, code: str, message: str, task_id: str) -> None:
        super().__init__(message, code=code)
        self.task_id = task_id


class ApprovalExpired(TaskError):
    """Nobody answered a question in time."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="approval_expired")


class BlobError(TaskError):
    """A blob could not be stored or fetched; `code` is the server's where it has refused."""


class Suspended(BaseException):
    """The run has given its slot back: the handler ends, and begins again when it can go on."""


class TaskCancelled(asyncio.CancelledError):
    """The task was cancelled or its lease was taken away; the handler should clean up and leave.

    Async handlers see it (or plain `asyncio.CancelledError`) at their next `await`, sync handlers
    at their next `ctx.emit`, `ctx.progress` or `ctx.raise_if_cancelled`.
    """

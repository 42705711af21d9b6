"""What ends a command, and the exit code that says so. The codes are documented and stable."""

from typing import Any, ClassVar

SUCCESS = 0
FAILURE = 1
USAGE = 2
NOT_FOUND = 3
NOT_ALLOWED = 4
UNAVAILABLE = 5
INTERRUPTED = 130


class CliError(Exception):
    """A command could not do what was asked."""

    exit_code: ClassVar[int] = FAILURE

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UsageError(CliError):
    """The command line does not make sense."""

    exit_code = USAGE


class MissingError(CliError):
    """What was named does not exist, or is somebody else's."""

    exit_code = NOT_FOUND


class NotAllowedError(CliError):
    """No credential, or one that may not do this."""

    exit_code = NOT_ALLOWED


class UnavailableError(CliError):
    """The instance does not answer, or says that a part of it is away."""

    exit_code = UNAVAILABLE


class BusyError(UnavailableError):
    """The instance has taken nothing of it, and says in how many seconds to come back."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


_BY_STATUS: dict[int, type[CliError]] = {
    401: NotAllowedError,
    403: NotAllowedError,
    404: MissingError,
    429: UnavailableError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


def from_problem(
    status: int, problem: dict[str, Any], retry_after: float | None = None
) -> CliError:
    """The error for an answer with problem details (RFC 9457)."""
    detail = str(problem.get("detail") or problem.get("title") or f"HTTP status {status}")
    fields = [f"{item['field']}: {item['message']}" for item in problem.get("errors") or ()]
    message = "; ".join([detail, *(field for field in fields if field not in detail)])
    is_busy = status == 429 or problem.get("code") == "queue_full"
    if is_busy and retry_after is not None:
        return BusyError(message, retry_after)
    return _BY_STATUS.get(status, CliError)(message)

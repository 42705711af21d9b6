"""Every failure we expect, and how each looks over HTTP and gRPC.

OrchestraError
├── InvalidInput            a caller's mistake in the request
├── Unauthenticated         no credential, or one that is no good
├── Forbidden               known, but not allowed
├── NotFound                absent, or somebody else's
├── Conflict                the present state refuses it
├── TooLarge                over a size bound
├── RateLimited             too often; says when to come back
├── Unavailable             an engine or provider is away; says when to come back
└── Upstream                a model provider answered with an error

The class docstring is the default message. Features subclass these in their `errors.py`.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class FieldError:
    """One mistake in a request: a path such as `tasks[3].input`, and what is wrong with it."""

    field: str
    message: str


class OrchestraError(Exception):
    """Something went wrong that was foreseen."""

    code: ClassVar[str] = "error"
    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    # By name: importing grpc takes 150 ms, which every command at the terminal would pay.
    grpc_status: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: float | None = None,
        fields: Sequence[FieldError] = (),
    ) -> None:
        self.message = message or _first_line(type(self))
        self.retry_after = retry_after
        self.fields = tuple(fields)
        super().__init__(self.message)

    def of(self, what: str) -> Self:
        """The same error, which says of what it is."""
        named = copy.copy(self)
        named.message = f"{what}: {self.message}"
        named.args = (named.message,)
        return named


class InvalidInput(OrchestraError):
    """The request is not valid."""

    code = "invalid_input"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    grpc_status = "INVALID_ARGUMENT"


class Unauthenticated(OrchestraError):
    """Sign in, or send a valid API key."""

    code = "unauthenticated"
    status = HTTPStatus.UNAUTHORIZED
    grpc_status = "UNAUTHENTICATED"


class Forbidden(OrchestraError):
    """You are not allowed to do this."""

    code = "forbidden"
    status = HTTPStatus.FORBIDDEN
    grpc_status = "PERMISSION_DENIED"


class NotFound(OrchestraError):
    """There is no such thing here."""

    code = "not_found"
    status = HTTPStatus.NOT_FOUND
    grpc_status = "NOT_FOUND"


class Conflict(OrchestraError):
    """The present state does not allow this."""

    code = "conflict"
    status = HTTPStatus.CONFLICT
    grpc_status = "FAILED_PRECONDITION"


class TooLarge(OrchestraError):
    """This is larger than allowed."""

    code = "too_large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    grpc_status = "RESOURCE_EXHAUSTED"


class RateLimited(OrchestraError):
    """Too many requests; try again later."""

    code = "rate_limited"
    status = HTTPStatus.TOO_MANY_REQUESTS
    grpc_status = "RESOURCE_EXHAUSTED"


class Unavailable(OrchestraError):
    """A part of the system is away; try again in a moment."""

    code = "unavailable"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    grpc_status = "UNAVAILABLE"


class Upstream(OrchestraError):
    """The model provider could not answer."""

    code = "upstream"
    status = HTTPStatus.BAD_GATEWAY
    grpc_status = "UNAVAILABLE"


def _first_line(cls: type[OrchestraError]) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]

"""Ends work for a client that has gone: nobody reads the answer, and somebody pays for it."""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, ClassVar, TypeVar

from litestar import Request

from orchestra.foundation.concurrency import Guard
from orchestra.foundation.errors import OrchestraError

T = TypeVar("T")


class ClientGone(OrchestraError):
    """The client closed the connection before the answer was there."""

    code: ClassVar[str] = "client_gone"
    status: ClassVar[HTTPStatus] = HTTPStatus.REQUEST_TIMEOUT


async def while_connected(request: Request[Any, Any, Any], work: Awaitable[T]) -> T:
    """Awaits `work`, cancelled when the client hangs up; the body must have been read before.

    Frameworks notice a closed connection only when they write to it.
    """
    scope = asyncio.timeout(None)
    async with Guard() as guard:
        try:
            async with scope:
                guard.spawn("client-connection", _expire(request, scope))
                return await work
        except TimeoutError as error:
            if scope.expired():
                raise ClientGone from error
            raise


async def _expire(request: Request[Any, Any, Any], scope: asyncio.Timeout) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.reschedule(asyncio.get_running_loop().time())

"""Streams of callers that are open, to end them when their caller may not call any more."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager

from orchestra.foundation.auth import Actor
from orchestra.foundation.errors import OrchestraError


class OpenCall:
    """One streaming rpc. It is either waiting for what to say next, or handing something over."""

    def __init__(self, actor: Actor, task: asyncio.Task[object] | None) -> None:
        self.actor = actor
        self.is_sending = False
        self.ended: OrchestraError | None = None
        self._task = task

    def end(self, error: OrchestraError) -> None:
        """Ends it with `error`: at once, or after what is being handed over."""
        self.ended = error
        if not self.is_sending and self._task is not None:
            self._task.cancel()

    def sent(self) -> None:
        """What was handed over is on its way; raises what the call was ended with meanwhile."""
        self.is_sending = False
        if self.ended is not None:
            raise self.ended

    def release(self) -> None:
        """The cancellation was this call's end, and nothing else."""
        if self._task is not None:
            self._task.uncancel()


class OpenCalls:
    """All of one server."""

    def __init__(self) -> None:
        self._calls: set[OpenCall] = set()

    def actors(self) -> list[Actor]:
        """Who has streams open, each caller as often as it has."""
        return [call.actor for call in self._calls]

    def end(self, is_meant: Callable[[Actor], bool], error: OrchestraError) -> None:
        """Ends the streams of those callers with `error`."""
        for call in [call for call in self._calls if is_meant(call.actor)]:
            call.end(error)

    @contextmanager
    def opened(self, actor: Actor) -> Generator[OpenCall]:
        """Around all that the present task does for a call; raises what the call is ended with."""
        call = OpenCall(actor, asyncio.current_task())
        self._calls.add(call)
        try:
            yield call
        except asyncio.CancelledError as cancelled:
            if call.ended is None:
                raise
            call.release()
            raise call.ended from cancelled
        finally:
            self._calls.discard(call)

"""How a handler waits for the server: on the event loop, or in a thread of its own.

The logic of steps is written once, as coroutines that wait for nothing but a bridge. For a plain
function the bridge blocks instead, so such a coroutine runs from its start to its end in one go.
"""

import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk._errors import Suspended, TaskCancelled, TaskError
from orchestra_sdk._outbox import Outbox
from orchestra_sdk._run import Run

_T = TypeVar("_T")


class Bridge(Protocol):
    """What a step needs of the world."""

    async def ask(self, command: pb.Command) -> pb.Reply:
        """Return the server's answer; raises `TaskError` when it refuses."""
        ...

    async def suspend(self, wanted: pb.Suspend) -> pb.Reply:
        """Give the slot back; returns only if what is wanted is there already."""
        ...

    def working(self) -> AbstractAsyncContextManager[None]:
        """Inside, the run keeps its slot: something is being done that must not be cut."""
        ...

    async def call(self, function: Callable[[], Any]) -> Any:
        """Return what the author's function returns, whether or not it is async."""
        ...


class ThreadBridge:
    """For plain functions: every wait blocks the handler's thread."""

    def __init__(self, run: Run, outbox: Outbox) -> None:
        self._run = run
        self._outbox = outbox

    async def ask(self, command: pb.Command) -> pb.Reply:
        """Block until the answer is there."""
        changed = threading.Event()
        answers: list[pb.Reply] = []

        def look(reply: pb.Reply | None) -> None:
            answers.extend([reply] if reply is not None else [])
            changed.set()

        if not self._outbox.command(self._run, command, look):
            raise leaving(self._run)
        while not answers:
            changed.wait()
            changed.clear()
            if not answers and (self._run.suspended or self._run.cancelled):
                raise leaving(self._run)
        return accepted(self._run, answers[0])

    async def suspend(self, wanted: pb.Suspend) -> pb.Reply:
        """Block until the server says what becomes of the run."""
        return await self.ask(pb.Command(suspend=wanted))

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        """A plain function does one thing at a time."""
        yield

    async def call(self, function: Callable[[], Any]) -> Any:
        """Call it here; an async function gets an event loop of its own."""
        outcome = function()
        return asyncio.run(_finished(outcome)) if inspect.isawaitable(outcome) else outcome


async def _finished(outcome: Any) -> Any:
    return await outcome


def drive(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Return what a coroutine on a `ThreadBridge` returns."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("a coroutine of a plain handler waited for an event loop")


def accepted(run: Run, reply: pb.Reply | None) -> pb.Reply:
    """Return the reply; raises what it means for the handler when there is no other."""
    if reply is None or reply.HasField("suspended"):
        raise leaving(run)
    if reply.HasField("refused"):
        refused = reply.refused
        raise TaskError(refused.message, code=refused.code, retryable=refused.retryable)
    return reply


def leaving(run: Run) -> BaseException:
    """Return what the handler of a run that is over should see."""
    if run.suspended:
        return Suspended("the run has given its slot back; let this pass")
    return TaskCancelled(run.cancel_reason or "the handler has left")

"""Waits of an async handler, whose branches may wait for several things at once.

The run gives its slot back only when every branch waits: nothing that is being done is cut off.
Then one command names all that is waited for, and the first outcome brings the run back.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk._bridge import accepted, leaving
from orchestra_sdk._outbox import Outbox
from orchestra_sdk._run import Run

# Turns of the event loop that a branch gets to go on after what it awaited has ended.
_TURNS = 8
_Wait = tuple[pb.Suspend, "asyncio.Future[pb.Reply | None]"]


class LoopBridge:
    """For async handlers: see `Bridge`."""

    def __init__(self, run: Run, outbox: Outbox) -> None:
        self._run = run
        self._outbox = outbox
        self._loop = asyncio.get_running_loop()
        self._waits: list[_Wait] = []
        self._working = 0
        self._free = asyncio.Event()  # cleared while the server decides about a suspension
        self._free.set()

    async def ask(self, command: pb.Command) -> pb.Reply:
        """Wait for the answer, on the event loop."""
        answer: asyncio.Future[pb.Reply | None] = self._loop.create_future()
        if not self._outbox.command(self._run, command, self._told(_resolve, answer)):
            raise leaving(self._run)
        return accepted(self._run, await answer)

    async def suspend(self, wanted: pb.Suspend) -> pb.Reply:
        """Wait until nothing else is done, then until the server has answered."""
        answer: asyncio.Future[pb.Reply | None] = self._loop.create_future()
        wait = wanted, answer
        self._waits.append(wait)
        self._settle()
        try:
            return accepted(self._run, await answer)
        finally:
            self._waits.remove(wait)

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        """Keep the slot; begins after a suspension that is being decided."""
        while not self._free.is_set():
            await self._free.wait()
        if self._run.suspended:
            raise leaving(self._run)
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self._settle()

    async def call(self, function: Callable[[], Any]) -> Any:
        """Call it on the event loop, and wait for it if it is async."""
        outcome = function()
        return await outcome if inspect.isawaitable(outcome) else outcome

    def _settle(self, turns: int = _TURNS) -> None:
        """Suspend the run, unless a branch does something within the next turns."""
        if self._working or not self._waits or not self._free.is_set():
            return
        if turns:
            self._loop.call_soon(self._settle, turns - 1)
            return
        self._free.clear()
        command = pb.Command(suspend=merged([wanted for wanted, _ in self._waits]))
        if not self._outbox.command(self._run, command, self._told(self._decided)):
            self._decided(None)

    def _decided(self, reply: pb.Reply | None) -> None:
        self._free.set()
        for _, answer in self._waits:
            _resolve(answer, reply)

    def _told(self, action: Callable[..., None], *arguments: Any) -> Callable[..., None]:
        """Return a callback for other threads. A cancelled handler is told by its own task."""

        def tell(reply: pb.Reply | None) -> None:
            over = self._run.suspended or self._run.sealed
            if (reply is not None or over) and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(action, *arguments, reply)

        return tell


def merged(wanted: Sequence[pb.Suspend]) -> pb.Suspend:
    """Return one wait for all branches: all their timers begin with it, the next to end first."""
    if len(wanted) == 1:
        return wanted[0]
    names = dict.fromkeys(name for item in wanted for name in item.names)
    first, *others = sorted(
        (item for item in wanted if item.seconds), key=lambda item: item.seconds
    ) or [pb.Suspend()]
    timers = [pb.Timer(name=item.name, seconds=item.seconds) for item in others]
    return pb.Suspend(names=names, any=True, seconds=first.seconds, name=first.name, timers=timers)


def _resolve(answer: "asyncio.Future[pb.Reply | None]", reply: pb.Reply | None) -> None:
    if not answer.done():
        answer.set_result(reply)

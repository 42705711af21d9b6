"""What a handler can know about its task and say while it runs.

`Context` is for async handlers, `SyncContext` for plain functions: the same words, without `await`.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _values
from orchestra_sdk._blobs import Blobs, SyncBlobs
from orchestra_sdk._bridge import Bridge, ThreadBridge
from orchestra_sdk._durable import Durable, PlainDurable
from orchestra_sdk._errors import TaskCancelled
from orchestra_sdk._http import Address
from orchestra_sdk._outbox import Outbox
from orchestra_sdk._run import Run
from orchestra_sdk._steps import Steps
from orchestra_sdk._target import Target
from orchestra_sdk._waits import LoopBridge

_PIECE = 16 * 1024  # characters; a longer text is sent as several events, to fit any message limit
_MAX_LOG_CHARACTERS = 16 * 1024
_MAX_LOG_FIELDS = 64
_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True)
class Limits:
    """What the server told the agent when it registered, always the latest."""

    model_base_url: Callable[[], str]
    max_message_bytes: Callable[[], int]
    target: Callable[[], Target]


class _TaskView:
    """The facts of the task, and its log, which never waits."""

    _bridge: Callable[[Run, Outbox], Bridge]

    def __init__(self, run: Run, outbox: Outbox, limits: Limits) -> None:
        self._run = run
        self._outbox = outbox
        self._limits = limits

    @cached_property
    def _steps(self) -> Steps:  # most tasks have none
        bridge = type(self)._bridge(self._run, self._outbox)
        return Steps(self._run, bridge, self._limits.max_message_bytes)

    @property
    def task_id(self) -> str:
        """Id of the task, the same for every attempt."""
        return self._run.task_id

    @property
    def capability(self) -> str:
        """The capability that was asked for."""
        return self._run.assignment.capability

    @property
    def attempt(self) -> int:
        """1 for the first."""
        return self._run.assignment.attempt

    @property
    def epoch(self) -> int:
        """Number of the lease; it grows with every attempt."""
        return self._run.epoch

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt: give it to whatever has effects."""
        return self._run.assignment.idempotency_key

    @property
    def deadline(self) -> datetime | None:
        """When the control plane ends the task, by its own clock; None: never."""
        return self._run.deadline

    @property
    def submitter(self) -> str:
        """User name of who submitted the task."""
        return self._run.assignment.submitter

    @property
    def parent_id(self) -> str:
        """Id of the task whose child this is, empty for one that people or programs submitted."""
        return self._run.assignment.parent_id

    @property
    def trace_parent(self) -> str:
        """W3C trace context of the task, for spans of your own."""
        return self._run.assignment.trace_parent

    @property
    def model_base_url(self) -> str:
        """Base address of the OpenAI-compatible model API, e.g. `http://127.0.0.1:8080/v1`."""
        return self._limits.model_base_url()

    @property
    def run_token(self) -> str:
        """Credential for the model API, always the fresh one: read it for every call."""
        return self._run.run_token

    @property
    def _door(self) -> Address:
        """Where the instance is over HTTP: beside the model API."""
        return Address(
            base_url=lambda: self.model_base_url.removesuffix("/v1"),
            token=lambda: self.run_token,
            target=self._limits.target,
        )

    @property
    def cancelled(self) -> bool:
        """Whether the handler should stop."""
        return self._run.cancelled

    def raise_if_cancelled(self) -> None:
        """Raise `TaskCancelled` when the handler should stop."""
        if self._run.cancelled:
            raise TaskCancelled(self._run.cancel_reason or "")

    def log(self, message: str, *, level: str = "info", **fields: Any) -> None:
        """Add a line to the task's log; `level` is debug, info, warning or error.

        A line of a task whose buffer is full is dropped rather than waited for.
        """
        if level not in _LEVELS:
            raise ValueError(f"level must be one of {', '.join(_LEVELS)}, not {level!r}")
        kept = {name: _bounded(fields[name]) for name in list(fields)[:_MAX_LOG_FIELDS]}
        line = pb.LogLine(
            level=level,
            message=_unicode(message[:_MAX_LOG_CHARACTERS]),
            fields=_values.to_struct(kept),
        )
        self._outbox.append(self._run, pb.AgentEvent(log=line), waiter=_nothing)


class Context(_TaskView, Durable):
    """The task as an async handler sees it."""

    _bridge = LoopBridge

    @cached_property
    def blobs(self) -> Blobs:
        """Values too large for an input or a result: `{"$blob": …}` refers to one."""
        return Blobs(self._door)

    async def emit(self, text: str) -> None:
        """Send a piece of the answer; waits while the server is behind."""
        for event in _tokens(text):
            await self._send(event)

    async def progress(self, fraction: float | None = None, message: str = "") -> None:
        """Say how far the task is, 0 to 1, or None when that is not known."""
        await self._send(_progress(fraction, message))

    async def _send(self, event: pb.AgentEvent) -> None:
        loop = asyncio.get_running_loop()
        while True:
            room = loop.create_future()

            def wake(room: asyncio.Future[None] = room) -> None:
                call_soon(loop, _resolve, room)

            if self._outbox.append(self._run, event, waiter=wake):
                break
            await room
        # Without this a handler that only emits would never let another one run, nor be cancelled.
        await asyncio.sleep(0)


class SyncContext(_TaskView, PlainDurable):
    """The task as a plain function sees it."""

    _bridge = ThreadBridge

    @cached_property
    def blobs(self) -> SyncBlobs:
        """Like `Context.blobs`, without `await`."""
        return SyncBlobs(self._door)

    def emit(self, text: str) -> None:
        """Send a piece of the answer; waits while the server is behind.

        Raises `TaskCancelled` when the handler should stop.
        """
        for event in _tokens(text):
            self._send(event)

    def progress(self, fraction: float | None = None, message: str = "") -> None:
        """Say how far the task is, 0 to 1, or None when that is not known.

        Raises `TaskCancelled` when the handler should stop.
        """
        self._send(_progress(fraction, message))

    def _send(self, event: pb.AgentEvent) -> None:
        self.raise_if_cancelled()
        room = threading.Event()
        while not self._outbox.append(self._run, event, waiter=room.set):
            room.wait()
            room.clear()
            self.raise_if_cancelled()


def _tokens(text: str) -> Iterator[pb.AgentEvent]:
    text = _unicode(text)
    for start in range(0, len(text), _PIECE):
        yield pb.AgentEvent(token=pb.Token(text=text[start : start + _PIECE]))


def _progress(fraction: float | None, message: str) -> pb.AgentEvent:
    if fraction is not None and not 0 <= fraction <= 1:
        raise ValueError(f"fraction must be between 0 and 1, not {fraction}")
    text = _unicode(message[:_MAX_LOG_CHARACTERS])
    return pb.AgentEvent(progress=pb.Progress(fraction=fraction, message=text))


def _unicode(text: str) -> str:
    """Replace lone surrogates, which have no UTF-8 form and would break the whole stream."""
    return text.encode("utf-8", "replace").decode()


def _bounded(item: Any) -> Any:
    return item[:_MAX_LOG_CHARACTERS] if isinstance(item, str) else item


def _nothing() -> None:
    """Nobody waits."""


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def call_soon(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *args: Any) -> None:
    """Call `call` on the loop, from any thread; a loop that has closed needs nothing any more."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, *args)

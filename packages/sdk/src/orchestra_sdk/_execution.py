"""Runs handlers on the agent's event loop; what becomes of one is the last event of its run."""

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _context, _tasks, _values
from orchestra_sdk._capability import Capability
from orchestra_sdk._context import Context, Limits, SyncContext
from orchestra_sdk._errors import Suspended, TaskError
from orchestra_sdk._journal import Journal
from orchestra_sdk._outbox import Outbox
from orchestra_sdk._pool import DaemonPool
from orchestra_sdk._run import Run

_log = logging.getLogger("orchestra_sdk")

_MAX_TRACEBACK = 8 * 1024  # characters, the end of it: that is where the cause stands
_MAX_MESSAGE = 4 * 1024
_ENVELOPE_BYTES = 4 * 1024  # what a message needs besides the output


# Whatever an author's code raises; a group of BaseExceptions is a TaskGroup that was suspended.
_ANYTHING = (Exception, SystemExit, Suspended, BaseExceptionGroup)


class Executor:
    """Starts a handler for every run, and ends the run with its outcome."""

    def __init__(
        self,
        capabilities: Mapping[str, Capability],
        *,
        outbox: Outbox,
        slots: int,
        journal: Journal | None,
        limits: Limits,
    ) -> None:
        self._capabilities = capabilities
        self._outbox = outbox
        self._pool = DaemonPool(slots)
        self._journal = journal
        self._limits = limits
        self._tasks: dict[asyncio.Task[None], Run] = {}
        self._stopping = False
        self.on_change: Callable[[], None] = lambda: None
        self.on_left: Callable[[Run], None] = lambda run: None

    @property
    def executing(self) -> int:
        """How many handlers run, also those whose lease is gone and that have not left yet."""
        return len(self._tasks)

    def start(self, run: Run) -> None:
        """Run the handler; called on the event loop."""
        task = _tasks.spawn(self._execute(run), name=f"run {run.task_id}")
        self._tasks[task] = run
        task.add_done_callback(self._done)

    def abandon(self, reason: str) -> None:
        """End every run that is left as a retryable failure: the agent cannot wait any longer."""
        self._stopping = True
        for task, run in self._tasks.items():
            if run.sealed:  # its result is being written to the disk
                continue
            self._outbox.finish(run, _failure("agent_stopped", reason, retryable=True))
            task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        run = self._tasks.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a run ended in an unexpected way", exc_info=error)
        self.on_left(run)
        self.on_change()

    async def _execute(self, run: Run) -> None:
        capability = self._capabilities.get(run.assignment.capability)
        if capability is None:
            name = run.assignment.capability
            event = _failure("unknown_capability", f"this agent has no {name!r}", retryable=True)
        elif capability.is_async:
            event = await self._run_async(capability, run)
        else:
            event = await self._run_sync(capability, run)
        await self._finish(run, event)

    async def _finish(self, run: Run, event: pb.AgentEvent) -> None:
        if self._journal is not None and not run.revoked:
            message = self._outbox.seal(run, event)
            try:
                await asyncio.to_thread(self._journal.save, run, message)
            except OSError:
                _log.exception("the result of task %s is in memory only", run.task_id)
        self._outbox.finish(run, event)

    async def _run_async(self, capability: Capability, run: Run) -> pb.AgentEvent:
        context = Context(run, self._outbox, self._limits)
        may_cancel = True

        def cancel() -> None:
            nonlocal may_cancel
            if may_cancel:  # once: a second time would interrupt the handler's cleaning up
                may_cancel = False
                task.cancel(run.cancel_reason)

        task = _current_task()
        loop = asyncio.get_running_loop()
        run.on_stop(lambda: _context.call_soon(loop, cancel))
        try:
            arguments = capability.arguments(context, run.input)
            return self._result(await capability.handler(*arguments))
        except asyncio.CancelledError as error:
            if self._stopping:
                raise
            task.uncancel()
            return _cancelled(run, error)
        except _ANYTHING as error:
            return _failed(run, error)
        finally:
            may_cancel = False

    async def _run_sync(self, capability: Capability, run: Run) -> pb.AgentEvent:
        context = SyncContext(run, self._outbox, self._limits)

        def call() -> pb.AgentEvent:
            try:
                context.raise_if_cancelled()  # it may have waited for a thread
                arguments = capability.arguments(context, run.input)
                return self._result(capability.handler(*arguments))
            except asyncio.CancelledError as error:
                return _cancelled(run, error)
            except _ANYTHING as error:
                return _failed(run, error)

        return await self._pool.run(call)

    def _result(self, output: Any) -> pb.AgentEvent:
        try:
            event = pb.AgentEvent(result=pb.Result(output=_values.to_value(output)))
        except _values.Unserialisable as error:
            return _failure("invalid_output", str(error))
        limit = self._limits.max_message_bytes() - _ENVELOPE_BYTES
        if (size := event.ByteSize()) > limit:
            message = f"the output has {size} bytes, {limit} are possible"
            return _failure("output_too_large", message)
        return event


def _current_task() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a handler runs in a task")
    return task


def _cancelled(run: Run, error: asyncio.CancelledError) -> pb.AgentEvent:
    if run.cancel_reason is None:
        return _failed(run, error)
    return pb.AgentEvent(cancelled=pb.Cancelled(reason=run.cancel_reason))


def _failed(run: Run, error: BaseException) -> pb.AgentEvent:
    if run.suspended:
        return pb.AgentEvent()  # goes nowhere: the task goes on under another lease
    if isinstance(error, TaskError):
        return _failure(error.code, error.message, retryable=error.retryable)
    lines = traceback.format_exception(error)
    message = f"{type(error).__name__}: {error}"
    _log.warning("a handler failed: %s", message, exc_info=error)
    return _failure(
        "handler_error", message, retryable=True, trace="".join(lines)[-_MAX_TRACEBACK:]
    )


def _failure(code: str, message: str, *, retryable: bool = False, trace: str = "") -> pb.AgentEvent:
    failure = pb.Failure(
        code=code,
        message=_text(message[:_MAX_MESSAGE]),
        retryable=retryable,
        traceback=_text(trace),
    )
    return pb.AgentEvent(failure=failure)


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()

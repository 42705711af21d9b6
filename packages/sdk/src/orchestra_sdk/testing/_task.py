"""A task as its submitter sees it, and the rules by which its events are accepted."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _values
from orchestra_sdk._errors import AgentError
from orchestra_sdk.testing._question import Question
from orchestra_sdk.testing._waiting import WAIT_SECONDS


class TaskFailed(AgentError):
    """The task ended without a result."""

    def __init__(self, state: str, failure: pb.Failure) -> None:
        super().__init__(f"{state}: {failure.code} {failure.message}".strip())
        self.state = state
        self.code = failure.code
        self.message = failure.message
        self.retryable = failure.retryable
        self.traceback = failure.traceback


class _Dispatch(Protocol):
    def cancel(self, task: "SubmittedTask", reason: str) -> None: ...
    def revoke(self, task: "SubmittedTask") -> None: ...


class SubmittedTask:
    """One task: its state, and the events of its present epoch."""

    def __init__(
        self, *, dispatch: _Dispatch, task_id: str, assignment: pb.Assignment, max_attempts: int
    ) -> None:
        self._dispatch = dispatch
        self.id = task_id
        self.assignment = assignment
        self.max_attempts = max_attempts
        self.state = "queued"
        self.epoch = 1
        self.attempt = 0
        self.agent_id = ""
        self.events: list[pb.AgentEvent] = []
        self.duplicates = 0  # events that came again after they were kept
        self.refused = 0  # events of a lease that is over
        self.stopped: list[int] = []  # epochs that are over, as the agent has said
        self.steps: dict[str, pb.Step] = {}  # what has an outcome, by name
        self.questions: dict[str, Question] = {}
        self.timers: dict[str, asyncio.TimerHandle] = {}
        self.children: dict[str, SubmittedTask] = {}
        self.parent: SubmittedTask | None = None
        self.name = self.fingerprint = ""  # as a child
        self.detached = False
        self.waits_for: pb.Suspend | None = None
        self.gaps: list[tuple[int, int]] = []  # (expected, got): always a defect of the agent
        self._changed = asyncio.Event()

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(e.token.text for e in self.events if e.WhichOneof("event") == "token")

    @property
    def finished(self) -> bool:
        """Whether the task is at its end."""
        return self.state in ("succeeded", "failed", "cancelled")

    async def result(self, timeout: float = WAIT_SECONDS) -> Any:
        """Return the output; raises `TaskFailed`, or TimeoutError after `timeout` seconds."""
        await self.wait_for(lambda task: task.finished, timeout=timeout)
        last = self.events[-1] if self.events else pb.AgentEvent()
        if self.state != "succeeded":
            raise TaskFailed(self.state, last.failure)
        return _values.from_value(last.result.output)

    async def wait_for(
        self, condition: Callable[["SubmittedTask"], bool], timeout: float = WAIT_SECONDS
    ) -> None:
        """Return when `condition` holds; it is looked at after every change of the task."""
        async with asyncio.timeout(timeout):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    def cancel(self, reason: str = "the user cancelled") -> None:
        """Ask for the end of the task."""
        self._dispatch.cancel(self, reason)

    def revoke(self) -> None:
        """Take the lease away as an expired one is, and queue the task again."""
        self._dispatch.revoke(self)

    def changed(self) -> None:
        """Wake who waits."""
        self._changed.set()

    def leased(self, agent_id: str) -> None:
        """Begin the next attempt."""
        self.state, self.agent_id = "running", agent_id
        self.epoch += 1
        self.attempt += self.waits_for is None  # to go on after a wait is the same attempt
        self.waits_for = None
        self.events = []
        self.changed()

    def queued_again(self) -> None:
        """End the lease without an end of the task."""
        self.state, self.agent_id = "queued", ""
        self.epoch += 1
        self.changed()

    def suspended(self, waits_for: pb.Suspend) -> None:
        """End the lease until what is waited for has an outcome."""
        self.state, self.agent_id, self.waits_for = "waiting", "", waits_for
        self.epoch += 1
        self.changed()

    def accept(self, event: pb.AgentEvent) -> None:
        """Keep an event of the present epoch if it is the next one."""
        expected = len(self.events) + 1
        if event.sequence < expected:
            self.duplicates += 1
            return
        if event.sequence > expected:
            self.gaps.append((expected, event.sequence))
            return
        self.events.append(event)
        self._end(event)
        self.changed()

    def _end(self, event: pb.AgentEvent) -> None:
        kind = event.WhichOneof("event")
        if kind == "result":
            self.state = "succeeded"
        elif kind == "cancelled":
            self.state = "cancelled"
        elif kind == "failure":
            again = event.failure.retryable and self.attempt < self.max_attempts
            if again and self.state == "running":
                self.queued_again()
            else:
                self.state = "failed"

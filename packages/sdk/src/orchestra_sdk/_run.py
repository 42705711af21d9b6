"""One run: an assignment, what the handler has said so far, and whether it should stop."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _clock, _values
from orchestra_sdk._commands import Commands
from orchestra_sdk._events import EventLog


class Run:
    """A lease on a task. Its mutable parts change under the lock of the outbox only."""

    def __init__(
        self, *, task_id: str, epoch: int, assignment: pb.Assignment, log: EventLog | None = None
    ) -> None:
        self.task_id = task_id
        self.epoch = epoch
        self.assignment = assignment
        self.run_token = assignment.run_token
        self.priority = 0
        self.log = log or EventLog()
        self.commands = Commands()
        self.begun = log is not None  # its handler has been called
        self.returned = False  # it was given back before it began
        self.ended = log is not None  # the last event is in the log
        self.sealed = self.ended  # the handler has left: it cannot say more
        self.revoked = False
        self.suspended = False  # it gave its slot back, and goes on under another lease
        self.cancel_reason: str | None = None
        self.due = 0.0  # when its unsent events go out; 0: nothing waits
        self.flushed_at = 0.0
        self._stop_handler: Callable[[], None] | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the handler should stop."""
        return self.cancel_reason is not None or (self.revoked and not self.suspended)

    @property
    def input(self) -> Any:
        """The input as plain Python values."""
        return _values.from_value(self.assignment.input)

    @property
    def deadline(self) -> datetime | None:
        """When the task as a whole must be over, by the control plane's clock."""
        if not self.assignment.HasField("deadline"):
            return None
        return _clock.utc(self.assignment.deadline)

    def on_stop(self, stop_handler: Callable[[], None]) -> None:
        """Call `stop_handler` when the run is cancelled or revoked, at once if it already was."""
        self._stop_handler = stop_handler
        if self.cancelled:
            stop_handler()

    def stop(self, reason: str, *, revoked: bool = False) -> None:
        """Ask the handler to stop; `revoked` also throws away what it says from now on."""
        if self.cancel_reason is None:
            self.cancel_reason = reason
        self.revoked = self.revoked or revoked
        self._wake()
        if self._stop_handler is not None:
            self._stop_handler()

    def suspend(self) -> None:
        """The lease is over and the task is not: what the handler says from now on is lost."""
        self.suspended = self.revoked = True
        self._wake()

    def _wake(self) -> None:
        self.log.wake()
        self.commands.wake()

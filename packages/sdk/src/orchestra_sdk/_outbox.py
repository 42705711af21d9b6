"""What waits to be sent, on whichever stream there is.

Handlers put events in from any thread; gRPC takes messages out through the iterator of the present
stream. The first event after a pause goes at once; more of the same run are gathered for up to
20 ms or 16 KiB. What is due of several runs goes as one message to a server that takes batches:
for short tasks a message costs more than the task. Without a stream everything simply stays, and
handlers that say too much wait.
"""

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterator

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _clock, _wire
from orchestra_sdk._commands import OnReply
from orchestra_sdk._events import BATCH_BYTES
from orchestra_sdk._run import Run

GATHER_SECONDS = 0.02
_BATCH_MESSAGES = 256
_WIRE_BYTES = 64 * 1024  # of a batch; a larger message goes alone


class Outbox:
    """Events of all runs, and messages about the stream itself, in the order they are due."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._due: list[tuple[float, int, Run]] = []
        self._count = 0
        self._stream: Stream | None = None
        self.agent_id = ""
        self.takes_returns = False  # the control plane, on the present stream

    def open(self, hello: pb.TaskMessage) -> "Stream":
        """Begin a stream with `hello`; events wait until `welcome`. An older stream ends."""
        with self.lock:
            self.close()
            self._stream = Stream(self, hello)
            return self._stream

    def close(self) -> None:
        """End the present stream, if any."""
        with self.lock:
            self._stream = None
            self._changed.notify_all()

    def welcome(
        self, resumed: list[Run], *, takes_batches: bool, takes_returns: bool = False
    ) -> None:
        """Send events again, those of `resumed` from what the server has not."""
        with self.lock:
            self._due.clear()
            for run in resumed:
                run.log.rewind()
                run.commands.rewind()
                run.due = run.flushed_at = 0.0
                self._schedule(run)
            if self._stream is not None:
                self._stream.welcomed = True
                self._stream.takes_batches = takes_batches
            self.takes_returns = takes_returns
            self._changed.notify_all()

    def post(self, message: pb.TaskMessage) -> None:
        """Send a message about the stream itself; without a stream it is dropped."""
        with self.lock:
            if self._stream is not None:
                self._stream.control.append(message)
                self._changed.notify_all()

    def append(
        self, run: Run, event: pb.AgentEvent, *, waiter: Callable[[], None] | None = None
    ) -> bool:
        """Put an event in; False when there is no room: `waiter` is called when there may be."""
        with self.lock:
            if run.revoked or run.sealed:
                return True
            if waiter is not None and run.log.full:
                run.log.waiters.append(waiter)
                return False
            run.log.append(event)
            self._schedule(run)
            return True

    def command(self, run: Run, command: pb.Command, on_reply: OnReply) -> bool:
        """Ask the server, after all that the run has said; False when the run is over."""
        with self.lock:
            if run.revoked or run.sealed:
                return False
            run.commands.add(command, on_reply)
            self._schedule(run)
            return True

    def seal(self, run: Run, last: pb.AgentEvent) -> pb.TaskMessage:
        """Take no more events; return what the server has not, with `last` as its end."""
        with self.lock:
            run.sealed = True
            last.sequence = run.log.last + 1
            return _wire.stamp(self._message(run, [*run.log.events, last]), self.agent_id)

    def finish(self, run: Run, last: pb.AgentEvent) -> None:
        """Put the last event of a run in."""
        with self.lock:
            run.sealed = True
            run.commands.close()
            if run.revoked and not run.suspended:
                self.tell_stopped(run)
            if run.revoked or run.ended:
                return
            run.ended = True
            run.log.append(last)
            self._schedule(run)

    def tell_stopped(self, run: Run) -> None:
        """Say of a run that is not this agent's any more that its handler has left.

        Nobody waits for it, but whoever has cancelled the task can see when it really stopped.
        Said once: without a stream it is dropped.
        """
        reason = run.cancel_reason or "the run was taken back"
        stopped = pb.AgentEvent(sequence=run.log.last + 1, cancelled=pb.Cancelled(reason=reason))
        self.post(_wire.stamp(self._message(run, [stopped]), self.agent_id))

    def _schedule(self, run: Run) -> None:
        if not (run.log.unsent or run.commands.unsent):
            return
        due = run.flushed_at + GATHER_SECONDS
        if run.ended or run.commands.unsent or run.log.unsent_bytes >= BATCH_BYTES:
            due = 0.0
        if run.due and run.due <= max(due, 1e-9):
            return  # waits already, and not longer
        run.due = max(due, 1e-9)
        self._count += 1
        heapq.heappush(self._due, (run.due, self._count, run))
        self._changed.notify_all()

    def next_message(self, stream: "Stream") -> pb.TaskMessage:
        """Wait for what `stream` sends next; raises `StopIteration` when it has ended."""
        with self.lock:
            while self._stream is stream:
                if stream.control:
                    return stream.control.popleft()
                wait = self._seconds_to_wait() if stream.welcomed else None
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                    continue
                message = self._batch(stream) if stream.takes_batches else self._take()
                if message is not None:
                    return _wire.stamp(message, self.agent_id)
        raise StopIteration

    def _batch(self, stream: "Stream") -> pb.TaskMessage | None:
        """Return all that is due now as one message."""
        messages: list[pb.TaskMessage] = []
        size = 0
        while (
            self._due and len(messages) < _BATCH_MESSAGES and self._due[0][0] <= _clock.monotonic()
        ):
            message = self._take()
            if message is None:
                continue
            size += message.ByteSize()
            if messages and size > _WIRE_BYTES:
                stream.control.append(_wire.stamp(message, self.agent_id))
                break
            messages.append(message)
        return _wire.batch(messages) if len(messages) > 1 else next(iter(messages), None)

    def _seconds_to_wait(self) -> float | None:
        return self._due[0][0] - _clock.monotonic() if self._due else None

    def _take(self) -> pb.TaskMessage | None:
        due, _, run = heapq.heappop(self._due)
        if run.revoked or run.due != due:  # a newer, earlier entry has taken its place
            return None
        run.due = 0.0
        run.flushed_at = _clock.monotonic()
        message = self._next_of(run)
        self._schedule(run)
        return message

    def _next_of(self, run: Run) -> pb.TaskMessage | None:
        if run.log.unsent:
            return self._message(run, run.log.take())
        if not run.commands.unsent:
            return None  # acknowledged meanwhile
        command = run.commands.take()
        return _wire.bare(pb.TASK_TYPE_COMMAND, command, task_id=run.task_id, epoch=run.epoch)

    def _message(self, run: Run, events: list[pb.AgentEvent]) -> pb.TaskMessage:
        batch = pb.TaskEvents(events=events)
        return _wire.bare(pb.TASK_TYPE_EVENTS, batch, task_id=run.task_id, epoch=run.epoch)


class Stream(Iterator[pb.TaskMessage]):
    """The iterator that gRPC reads; it ends when the outbox has moved on."""

    def __init__(self, outbox: Outbox, hello: pb.TaskMessage) -> None:
        self._outbox = outbox
        self.control: deque[pb.TaskMessage] = deque([hello])
        self.welcomed = False
        self.takes_batches = False

    def __next__(self) -> pb.TaskMessage:
        return self._outbox.next_message(self)

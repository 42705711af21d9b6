"""The events of one run: numbered, bounded, kept until the server has them.

Nothing here locks: the outbox that owns the log does.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from orchestra_protocol import agent_pb2 as pb

BATCH_BYTES = 16 * 1024  # a message of this size goes at once instead of waiting for more
MAX_UNACKNOWLEDGED_BYTES = 1024 * 1024  # beyond, the handler waits: memory stays bounded
MAX_UNACKNOWLEDGED_EVENTS = 4096


@dataclass(frozen=True, slots=True)
class _Kept:
    event: pb.AgentEvent
    size: int


class EventLog:
    """Events `acknowledged + 1 … last`, of which those up to `sent` are on the present stream."""

    __slots__ = ("_bytes", "_kept", "acknowledged", "last", "sent", "unsent_bytes", "waiters")

    def __init__(self, kept: Iterable[pb.AgentEvent] = ()) -> None:
        events = [_Kept(event, event.ByteSize()) for event in kept]
        self._kept: deque[_Kept] = deque(events)
        self._bytes = sum(kept.size for kept in events)
        self.unsent_bytes = self._bytes
        first = events[0].event.sequence if events else 1
        self.acknowledged = first - 1
        self.sent = first - 1
        self.last = first - 1 + len(events)
        self.waiters: list[Callable[[], None]] = []

    @property
    def full(self) -> bool:
        """Whether the handler has to wait for an acknowledgement."""
        return (
            self._bytes >= MAX_UNACKNOWLEDGED_BYTES or len(self._kept) >= MAX_UNACKNOWLEDGED_EVENTS
        )

    @property
    def unsent(self) -> bool:
        """Whether something has not been put on the present stream."""
        return self.sent < self.last

    @property
    def events(self) -> list[pb.AgentEvent]:
        """What the server has not acknowledged."""
        return [kept.event for kept in self._kept]

    def append(self, event: pb.AgentEvent) -> None:
        """Number the event and keep it."""
        self.last += 1
        event.sequence = self.last
        size = event.ByteSize()
        self._kept.append(_Kept(event, size))
        self._bytes += size
        self.unsent_bytes += size

    def take(self) -> list[pb.AgentEvent]:
        """Return the next events of about `BATCH_BYTES`, at least one, and count them as sent."""
        start = self.sent - self.acknowledged
        batch: list[pb.AgentEvent] = []
        size = 0
        for index in range(start, len(self._kept)):
            kept = self._kept[index]
            if batch and size + kept.size > BATCH_BYTES:
                break
            batch.append(kept.event)
            size += kept.size
        self.sent += len(batch)
        self.unsent_bytes -= size
        return batch

    def acknowledge(self, sequence: int) -> None:
        """Forget events up to `sequence`; the server has them."""
        while self._kept and self._kept[0].event.sequence <= sequence:
            kept = self._kept.popleft()
            self._bytes -= kept.size
            self.acknowledged = kept.event.sequence
            if kept.event.sequence > self.sent:  # acknowledged on an earlier stream
                self.unsent_bytes -= kept.size
                self.sent = kept.event.sequence
        self.wake()

    def rewind(self) -> None:
        """Count everything that is kept as not sent: a new stream begins."""
        self.sent = self.acknowledged
        self.unsent_bytes = self._bytes

    def wake(self) -> None:
        """Let the handlers that wait for room look again."""
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            waiter()

"""What one run asks of the server: sent in order, and again on every new stream, until answered.

Nothing here locks: the outbox that sends the commands does.
"""

from collections import deque
from collections.abc import Callable

from orchestra_protocol import agent_pb2 as pb

# Called with the answer, or with None when the run has changed: look whether it still waits.
OnReply = Callable[[pb.Reply | None], None]


class Commands:
    """Commands without an answer, of which some are not on the present stream."""

    __slots__ = ("_last", "_pending", "_unsent")

    def __init__(self) -> None:
        self._pending: dict[int, tuple[pb.Command, OnReply]] = {}
        self._unsent: deque[int] = deque()
        self._last = 0

    @property
    def unsent(self) -> bool:
        """Whether something has not been put on the present stream."""
        return bool(self._unsent)

    def add(self, command: pb.Command, on_reply: OnReply) -> None:
        """Number the command and keep it."""
        self._last += 1
        command.id = self._last
        self._pending[command.id] = command, on_reply
        self._unsent.append(command.id)

    def take(self) -> pb.Command:
        """Return the next command, and count it as sent."""
        return self._pending[self._unsent.popleft()][0]

    def rewind(self) -> None:
        """Count everything that has no answer as not sent: a new stream begins."""
        self._unsent = deque(self._pending)

    def answer(self, reply: pb.Reply) -> None:
        """Hand the reply to who asked; one that came before is ignored."""
        if reply.id not in self._pending:
            return
        _, on_reply = self._pending.pop(reply.id)
        if reply.id in self._unsent:
            self._unsent.remove(reply.id)
        on_reply(reply)

    def close(self) -> None:
        """Let everyone who waits see that the handler has left, and ask nothing more."""
        self.wake()
        self._pending.clear()
        self._unsent.clear()

    def wake(self) -> None:
        """Let everyone who waits look at the run again."""
        for _, on_reply in list(self._pending.values()):
            on_reply(None)

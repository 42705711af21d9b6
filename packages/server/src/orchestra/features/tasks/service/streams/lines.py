"""Commands that wait their turn: in order for each run, and bounded for each agent."""

import asyncio
import uuid
from collections import Counter, deque

from orchestra_protocol import agent_pb2 as pb

from orchestra.features.tasks.service.streams.run import Run

# Of one run; beyond, its agent's stream is not read on.
MOST_COMMANDS = 256
# Of all runs of one agent, as they came. Room for two of the largest messages, and thousands of
# ordinary ones; one command more than fits may be there, since it has been read already.
MOST_BYTES = 8 * 1024 * 1024


class Lines:
    """One for each control plane. A command counts until it was obeyed, or its line is dropped."""

    def __init__(self) -> None:
        self._lines: dict[Run, deque[tuple[pb.Command, int]]] = {}
        self._bytes: Counter[uuid.UUID] = Counter()
        self._changed: dict[uuid.UUID, asyncio.Event] = {}

    def add(self, run: Run, command: pb.Command) -> bool:
        """Puts a command at the end of its run's line; whether that line begins with it."""
        is_first = run not in self._lines
        size = command.ByteSize()
        self._lines.setdefault(run, deque()).append((command, size))
        self._bytes[run.agent_id] += size
        return is_first

    def first(self, run: Run) -> pb.Command | None:
        """The command whose turn it is; it stays in line until it is `done`."""
        line = self._lines.get(run)
        return line[0][0] if line else None

    def done(self, run: Run) -> None:
        """The first command of the run was obeyed."""
        _, size = self._lines[run].popleft()
        self._give_back(run.agent_id, size)

    def drop(self, run: Run) -> None:
        """Ends the run's line, whatever still stands in it."""
        left = self._lines.pop(run, ())
        self._give_back(run.agent_id, sum(size for _, size in left))

    async def room(self, run: Run) -> None:
        """Waits until there is room for more: the agent's stream is not read meanwhile."""
        while self._is_full(run):
            await self._changed.setdefault(run.agent_id, asyncio.Event()).wait()

    def waiting_bytes(self, agent_id: uuid.UUID) -> int:
        """How much waits of all runs of the agent."""
        return self._bytes[agent_id]

    def _is_full(self, run: Run) -> bool:
        if self._bytes[run.agent_id] > MOST_BYTES:
            return True
        return len(self._lines.get(run, ())) >= MOST_COMMANDS

    def _give_back(self, agent_id: uuid.UUID, size: int) -> None:
        self._bytes[agent_id] -= size
        if self._bytes[agent_id] <= 0:
            del self._bytes[agent_id]
        if (changed := self._changed.pop(agent_id, None)) is not None:
            changed.set()

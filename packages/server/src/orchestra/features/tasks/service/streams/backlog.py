"""What an agent has beyond its slots: which of its runs have begun, and what it gives back.

An agent that takes a backlog begins what has the higher priority first, then what came first. So
nobody has to tell which runs have begun: it follows from what was sent and what has ended. It is
known a moment after the agent has begun the run, and never before.
"""

import heapq

from orchestra.features.tasks.service.streams.run import Run


class Backlog:
    """Of one stream. Begins the runs that have a slot: their time-outs count from then."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._in_slots: set[Run] = set()
        self._waiting: list[tuple[int, int, Run]] = []
        self._count = 0

    def __len__(self) -> int:
        """How many wait; some of them may be over by now."""
        return len(self._waiting)

    def add(self, run: Run, *, priority: int = 0) -> None:
        """The run goes to the agent; one that has begun already has a slot."""
        if run.begun or len(self._in_slots) < self._slots:
            self._begin(run)
        else:
            self._count += 1
            heapq.heappush(self._waiting, (-priority, self._count, run))

    def note_begun(self, run: Run) -> None:
        """The agent has said something of it."""
        if not run.begun:
            self._begin(run)

    def leave(self, run: Run) -> None:
        """The agent is done with the run: its slot is another's."""
        self._in_slots.discard(run)
        while self._waiting and len(self._in_slots) < self._slots:
            after = heapq.heappop(self._waiting)[2]
            if not (after.begun or after.is_lost):
                self._begin(after)

    def waiting(self) -> list[Run]:
        """Those that have not begun."""
        return [run for *_, run in self._waiting if not (run.begun or run.is_lost)]

    def _begin(self, run: Run) -> None:
        run.begin()
        self._in_slots.add(run)

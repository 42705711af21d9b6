"""Runs that wait for a slot: what the control plane sends beyond the slots, so that none is idle.

Those of higher priority begin first, then the one that came first; the control plane counts on that
order. A run counts as begun from the moment in which its handler is about to be called.
"""

import heapq
from collections.abc import Callable
from threading import RLock

from orchestra_sdk._run import Run

# What the control plane may send beyond the slots; it sends as much as is done in a moment.
MOST = 256


class Backlog:
    """`lock` guards the runs, also those that have begun; `begin` is called on the event loop."""

    def __init__(self, *, slots: int, lock: RLock, begin: Callable[[Run], None]) -> None:
        self._slots = slots
        self._lock = lock
        self._begin = begin
        self._waiting: list[tuple[int, int, Run]] = []
        self._in_slots: set[Run] = set()
        self._count = 0

    def add(self, run: Run) -> None:
        """A run has come; `fill` begins it when there is a slot."""
        with self._lock:
            if len(self._waiting) > 2 * MOST:
                self._waiting = [entry for entry in self._waiting if _is_wanted(entry[2])]
                heapq.heapify(self._waiting)
            self._count += 1
            heapq.heappush(self._waiting, (-run.priority, self._count, run))

    def leave(self, run: Run) -> None:
        """The run needs its slot no more; called on the event loop."""
        self._in_slots.discard(run)
        self.fill()

    def fill(self) -> None:
        """Begin what has a slot; called on the event loop."""
        while len(self._in_slots) < self._slots and (run := self._next()) is not None:
            self._in_slots.add(run)
            self._begin(run)

    def _next(self) -> Run | None:
        with self._lock:
            while self._waiting:
                run = heapq.heappop(self._waiting)[2]
                if _is_wanted(run):
                    run.begun = True
                    return run
        return None


def _is_wanted(run: Run) -> bool:
    return not (run.revoked or run.ended or run.returned)

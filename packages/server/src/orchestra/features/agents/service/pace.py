"""How long an agent's runs take, and what it may therefore be given beyond its slots.

A run that is over in a millisecond waits longer for its way to the agent than for the agent. Such
an agent is sent what it will do in the next moment, so that many runs share a claim, a message and
a commit. What waits there can be done by nobody else, so it is never more than a moment's work.
"""

from collections.abc import Iterable

# So much work may wait at an agent, in seconds; runs that take longer are given to free slots only.
BACKLOG_SECONDS = 0.05
# The weight of one run; a change is known after some ten of them.
WEIGHT = 0.1
MAX_CAPABILITIES = 1_000
# An agent that says that it takes more is not believed; those of the SDK take 256.
MOST = 1_000


class Pace:
    """Of one agent. `most` is what it takes beyond its slots, by its own word."""

    __slots__ = ("_most", "_seconds", "_slots", "is_stalled")

    def __init__(self, *, slots: int, most: int) -> None:
        self._slots = slots
        self._most = min(MOST, most)
        self._seconds: dict[str, float] = {}
        self.is_stalled = False  # what waited there has waited too long

    def observe(self, capability: str, seconds: float) -> None:
        """A run has ended that was at work for so long."""
        self.is_stalled = False
        known = self._seconds.get(capability)
        if known is None and len(self._seconds) >= MAX_CAPABILITIES:
            return
        self._seconds[capability] = seconds if known is None else known + WEIGHT * (seconds - known)

    def backlog(self, capabilities: Iterable[str]) -> int:
        """How many of these it may have beyond its slots; none of which nothing is known."""
        if self._most <= 0 or self.is_stalled:
            return 0
        slowest = 0.0
        for name in capabilities:
            known = self._seconds.get(name)
            if known is None or known > BACKLOG_SECONDS:
                return 0
            slowest = max(slowest, known)
        if slowest * self._most <= BACKLOG_SECONDS * self._slots:
            return self._most
        return int(self._slots * BACKLOG_SECONDS / slowest)

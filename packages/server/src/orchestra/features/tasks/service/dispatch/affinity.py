"""Which agent the tasks with one key go to, so that it finds there what it has kept of the last.

Consistent hashing (Karger et al., 1997): when an agent comes or goes, only its own keys move. With
bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2016): an agent that has clearly more to do than the
others passes its keys to the next on the ring.
"""

import bisect
import hashlib
import math
from collections.abc import Iterator, Sequence

from orchestra.features.agents import ConnectedAgent

# How much more than its share an agent may have while more than half of its slots are in use.
LOAD = 1.25
# Points of one agent: more spread keys more evenly, and cost more when agents come and go.
MOST_POINTS, ALL_POINTS = 64, 8_192
# So many agents are asked for a key; then the task stays where it is.
MOST_ASKED = 16


class Ring:
    """The agents of a queue around a circle."""

    def __init__(self, agents: Sequence[ConnectedAgent]) -> None:
        number = max(1, min(MOST_POINTS, ALL_POINTS // max(1, len(agents))))
        points = sorted(
            (_hash(agent.id.bytes + place.to_bytes(2)), place_of)
            for place_of, agent in enumerate(agents)
            for place in range(number)
        )
        self._agents = tuple(agents)
        self._hashes = [value for value, _ in points]
        self._owners = [owner for _, owner in points]

    def home(self, key: str, *, present: ConnectedAgent) -> ConnectedAgent | None:
        """The agent for a task with this key; `present` has reserved a slot for it already.

        None: nobody who is asked has room, so it stays.
        """
        taken = sum(agent.in_use for agent in self._agents)  # with this task
        slots = sum(agent.slots for agent in self._agents)
        for agent in self._around(key):
            load = agent.in_use - (agent is present)
            fair = math.ceil(LOAD * taken * agent.slots / max(1, slots))
            has_slot = agent is present or agent.free > 0
            if has_slot and load < max(agent.slots // 2, fair):
                return agent
        return None

    def _around(self, key: str) -> Iterator[ConnectedAgent]:
        start = bisect.bisect(self._hashes, _hash(key.encode()))
        seen: set[int] = set()
        for step in range(len(self._owners)):
            owner = self._owners[(start + step) % len(self._owners)]
            if owner in seen:
                continue
            seen.add(owner)
            yield self._agents[owner]
            if len(seen) == MOST_ASKED:
                return


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=8).digest()

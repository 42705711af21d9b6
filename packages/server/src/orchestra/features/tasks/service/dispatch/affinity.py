"""Which agent the tasks with one key go to, so that it finds there what it has kept of the last.

Consistent hashing (Karger et al., 1997): when an agent comes or goes, only its own keys move. With
bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2016): an agent that has clearly more to do than the
others passes its keys to the next on the ring.
"""

import bisect
import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Sequence

from orchestra.features.agents import AgentId, ConnectedAgent
from orchestra.features.tasks.service.dispatch.peers import Anyone, RemoteAgent
from orchestra.foundation import clock

# How much more than its share an agent may have while more than half of its slots are in use.
LOAD = 1.25
# Points of one agent: more spread keys more evenly, and cost more when agents come and go.
MOST_POINTS, ALL_POINTS = 64, 8_192
# Beyond so many the share of each is not added up for every task.
FEW, SHARE_SECONDS = 256, 0.05
# So many agents are asked for a key; then the task stays where it is.
MOST_ASKED = 16


class Ring:
    """The agents of a queue around a circle, the same one at every control plane."""

    def __init__(self, agents: Sequence[Anyone]) -> None:
        number = max(1, min(MOST_POINTS, ALL_POINTS // max(1, len(agents))))
        points = sorted(
            (_hash(agent.id.bytes + place.to_bytes(2)), place_of)
            for place_of, agent in enumerate(agents)
            for place in range(number)
        )
        self._agents = tuple(agents)
        self._hashes = [value for value, _ in points]
        self._owners = [owner for _, owner in points]
        self._known_share, self._known_until = 0.0, float("-inf")

    def home(
        self,
        key: str,
        *,
        present: ConnectedAgent,
        without: Collection[AgentId] = (),
        here: bool = False,
        reserved: Callable[[ConnectedAgent], int] = lambda agent: 0,
    ) -> Anyone | None:
        """The agent for a task with this key; `present` has reserved a slot for it already.

        None: nobody who is asked has room, so it stays. Of one that is elsewhere only its own
        control plane knows whether it has; with `here` these are passed over, and so is `without`.
        What is `reserved` is no load yet.
        """
        share = self._share()
        for agent in self._around(key):
            if agent.id in without:
                continue
            if isinstance(agent, RemoteAgent):
                if not here and agent.free > 0:
                    return agent
                continue
            load = agent.in_use - (agent is present) - reserved(agent)
            has_slot = agent is present or agent.free > 0
            if has_slot and load < _most(agent, share):
                return agent
        return None

    def most(self, agent: Anyone) -> int:
        """Who has so much to do passes its keys on, be there free slots or not."""
        return _most(agent, self._share())

    def _share(self) -> float:
        """Tasks for each slot, if all were loaded alike, and somewhat more.

        Of thousands it is known as it was a moment ago: a few tasks make no difference.
        """
        if len(self._agents) > FEW and clock.monotonic() < self._known_until:
            return self._known_share
        taken = sum(agent.in_use for agent in self._agents)  # with this task
        self._known_share = LOAD * taken / max(1, sum(agent.slots for agent in self._agents))
        self._known_until = clock.monotonic() + SHARE_SECONDS
        return self._known_share

    def _around(self, key: str) -> Iterator[Anyone]:
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


def _most(agent: Anyone, share: float) -> int:
    return max(agent.slots // 2, math.ceil(share * agent.slots))


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=8).digest()

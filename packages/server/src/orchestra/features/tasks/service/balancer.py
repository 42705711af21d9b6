"""Which agent gets a task, among those with free slots."""

import hashlib
import heapq
import uuid
from collections import defaultdict
from collections.abc import Sequence

from orchestra.features.agents import ConnectedAgent

# Claimed at once: enough to share a commit, few enough to be pushed at once.
MAX_CLAIM = 64


class Balancer:
    """Least busy first; among equals the one that has waited longest for a task."""

    def __init__(self) -> None:
        self._turn = 0
        self._served: dict[uuid.UUID, int] = {}

    def pick(
        self, agents: Sequence[ConnectedAgent], *, limit: int = MAX_CLAIM
    ) -> list[ConnectedAgent]:
        """Agents for the next tasks, one for each, and reserves their slots."""
        heap = [
            (agent.in_use / agent.slots, self._served.get(agent.id, 0), place)
            for place, agent in enumerate(agents)
            if agent.free
        ]
        heapq.heapify(heap)
        picked: list[ConnectedAgent] = []
        while heap and len(picked) < limit:
            _, _, place = heapq.heappop(heap)
            agent = agents[place]
            agent.in_use += 1
            self._turn += 1
            self._served[agent.id] = self._turn
            picked.append(agent)
            if agent.free:
                heapq.heappush(heap, (agent.in_use / agent.slots, self._turn, place))
        return picked

    def forget(self, agent_id: uuid.UUID) -> None:
        self._served.pop(agent_id, None)


def preferred(agents: Sequence[ConnectedAgent], key: str) -> ConnectedAgent | None:
    """The agent that tasks with this affinity key go to, as long as the same agents are there.

    Rendezvous hashing (Thaler and Ravishankar, 1998): when an agent leaves, only its keys move.
    """
    return max(agents, key=lambda agent: _score(agent.id, key), default=None)


def by_owner(
    agents: Sequence[ConnectedAgent],
) -> list[tuple[uuid.UUID | None, list[ConnectedAgent]]]:
    """Agents that work for everybody (None), and those that work for one person each."""
    groups: defaultdict[uuid.UUID | None, list[ConnectedAgent]] = defaultdict(list)
    for agent in agents:
        groups[None if agent.shared else agent.owner_id].append(agent)
    return list(groups.items())


def _score(agent_id: uuid.UUID, key: str) -> bytes:
    return hashlib.blake2b(agent_id.bytes + key.encode(), digest_size=8).digest()

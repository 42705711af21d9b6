"""Which agents get the next tasks of a queue, among those with free slots.

What a queue goes by can be changed while it works; the choice is read once a second.
"""

import heapq
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from orchestra.features.agents import ConnectedAgent, Registry
from orchestra.features.tasks.repository.claiming import MAX_CLAIM
from orchestra.features.tasks.service.dispatch import measures
from orchestra.features.tasks.service.dispatch.affinity import Ring
from orchestra.features.tasks.service.dispatch.peers import Owner, Peers
from orchestra.features.tasks.types import Balancing, QueueName
from orchestra.foundation import ids

# Rings that are kept; beyond, all are made anew.
MAX_RINGS = 1_000

_KNOWN = frozenset(Balancing)


class Balancer:
    """One for each control plane; it chooses among the agents of that one only.

    Keys alone lead to agents of others, too: `peers` knows these. What else of them should have a
    task, `across.py` says.
    """

    def __init__(self, peers: Peers | None = None) -> None:
        self._peers = peers
        self.strategies: Mapping[QueueName, Balancing] = {}
        self._turn = 0
        self._served: dict[uuid.UUID, int] = {}
        self._rings: dict[tuple[QueueName, Owner], tuple[tuple[int, int], Ring]] = {}

    def take(self, chosen: Mapping[QueueName, str]) -> None:
        """What queues go by; what a newer version calls so goes as if nobody had chosen."""
        self.strategies = {
            queue: Balancing(name) for queue, name in chosen.items() if name in _KNOWN
        }

    def strategy(self, queue: QueueName) -> Balancing:
        return self.strategies.get(queue, Balancing.LEAST_BUSY)

    def pick(
        self,
        agents: Sequence[ConnectedAgent],
        *,
        queue: QueueName,
        beyond: Sequence[QueueName] | None = None,
        limit: int = MAX_CLAIM,
    ) -> list[ConnectedAgent]:
        """Agents for the next tasks, one for each, and reserves their slots.

        With `beyond`, the queues from which the tasks come, also what may wait at an agent.
        """
        places = [_Places(agent, beyond) for agent in agents]
        free = [place for place in places if place.left > 0]
        strategy = self.strategy(queue)
        if strategy is Balancing.LATENCY:
            return self._pick_of_two(free, limit)
        return self._pick_first(free, limit, _ORDERS.get(strategy, _least_busy))

    def note(self, served: Iterable[uuid.UUID]) -> None:
        """These agents got tasks, in this order; a slot for which none came does not count."""
        for agent_id in served:
            self._turn += 1
            self._served[agent_id] = self._turn

    def forget(self, agent_id: uuid.UUID) -> None:
        self._served.pop(agent_id, None)

    def key(self, queue: QueueName, affinity_key: str | None, user_id: uuid.UUID) -> str | None:
        """What binds a task to an agent: its own key, or its user where the queue goes by that."""
        if affinity_key is None and self.strategy(queue) is Balancing.AFFINITY:
            return str(user_id)
        return affinity_key

    def ring(self, queue: QueueName, owner: Owner, registry: Registry) -> Ring:
        """The agents of a queue that work for everybody, or for `owner`; kept while they stay."""
        version = (registry.version, self._peers.version if self._peers else 0)
        kept = self._rings.get((queue, owner))
        if kept is not None and kept[0] == version:
            return kept[1]
        if len(self._rings) >= MAX_RINGS:
            self._rings.clear()
        here = dict(by_owner(registry.serving(queue))).get(owner, [])
        others = self._peers.serving(queue, owner) if self._peers else ()
        elsewhere = [agent for agent in others if registry.get(agent.id) is None]
        ring = Ring([*here, *elsewhere])
        self._rings[queue, owner] = (version, ring)
        return ring

    def _pick_first(
        self, places: Sequence["_Places"], limit: int, order: Callable[[ConnectedAgent], float]
    ) -> list[ConnectedAgent]:
        """The first by `order`; among equals the one that has waited longest for a task."""
        heap = [
            (order(place.agent), self._served.get(place.agent.id, 0), number)
            for number, place in enumerate(places)
        ]
        heapq.heapify(heap)
        picked: list[ConnectedAgent] = []
        while heap and len(picked) < limit:
            _, _, number = heapq.heappop(heap)
            place = places[number]
            picked.append(place.reserve())
            if place.left > 0:
                heapq.heappush(heap, (order(place.agent), self._turn + len(picked), number))
        return picked

    def _pick_of_two(self, places: list["_Places"], limit: int) -> list[ConnectedAgent]:
        """Of two drawn at random the one that is expected to be done first.

        Drawing keeps a burst from going to a single agent that has looked quick a moment ago.
        """
        usual = measures.usual_seconds(place.agent for place in places)
        picked: list[ConnectedAgent] = []
        while places and len(picked) < limit:
            first, second = ids.pair_below(len(places))
            number = min(first, second, key=lambda each: places[each].seconds_until_done(usual))
            picked.append(places[number].reserve())
            if places[number].left <= 0:
                places[number] = places[-1]
                places.pop()
        return picked


class _Places:
    """How many more tasks an agent can be given now."""

    __slots__ = ("agent", "left")

    def __init__(self, agent: ConnectedAgent, beyond: Sequence[QueueName] | None) -> None:
        self.agent = agent
        self.left = agent.free if beyond is None else agent.room(beyond)

    def seconds_until_done(self, usual: float) -> float:
        return measures.seconds_until_done(self.agent, in_use=self.agent.in_use, usual=usual)

    def reserve(self) -> ConnectedAgent:
        self.left -= 1
        self.agent.in_use += 1
        return self.agent


def by_owner(agents: Sequence[ConnectedAgent]) -> list[tuple[Owner, list[ConnectedAgent]]]:
    """Agents that work for everybody (None), and those that work for one person each."""
    groups: defaultdict[Owner, list[ConnectedAgent]] = defaultdict(list)
    for agent in agents:
        groups[None if agent.shared else agent.owner_id].append(agent)
    return list(groups.items())


def _least_busy(agent: ConnectedAgent) -> float:
    return agent.in_use / agent.slots


def _most_room(agent: ConnectedAgent) -> float:
    return -measures.room(agent, free=agent.free)


def _in_turn(_agent: ConnectedAgent) -> float:
    return 0.0


_ORDERS: Mapping[Balancing, Callable[[ConnectedAgent], float]] = {
    Balancing.LEAST_BUSY: _least_busy,
    Balancing.RESOURCES: _most_room,
    Balancing.ROUND_ROBIN: _in_turn,
    Balancing.AFFINITY: _least_busy,  # for tasks without a key, and until it is known
}

"""Which agent here should rather have a task than the one that it was claimed for.

Its key's agent; and of somebody with agents of his own, one of these, if it has a free slot.
"""

import uuid
from collections.abc import Callable, Sequence

from orchestra.features.agents import ConnectedAgent, Registry
from orchestra.features.tasks.repository.claiming import Claim
from orchestra.features.tasks.service.dispatch.balancer import Balancer
from orchestra.features.tasks.service.dispatch.peers import Owner
from orchestra.features.tasks.service.dispatch.ready import Ready

# Of somebody's own agents as many are looked at as for a claim of so many tasks.
OWN_TASKS = 16

Agents = dict[uuid.UUID, ConnectedAgent]
Moves = dict[int, ConnectedAgent]


class Homes:
    """One for each dispatcher. `reserved` says how many slots of an agent claims hold just now."""

    def __init__(
        self,
        registry: Registry,
        balancer: Balancer,
        ready: Ready,
        reserved: Callable[[ConnectedAgent], int],
    ) -> None:
        self._registry, self._balancer, self._ready = registry, balancer, ready
        self._reserved = reserved

    def choose(self, owner: Owner, claims: Sequence[Claim], agents: Agents) -> Moves:
        """Reserves slots of the agents that keys lead to, for the claims of these places."""
        moves: Moves = {}
        for place, claim in enumerate(claims):
            home = self._of_key(claim, owner, agents[claim.agent_id])
            if home is not None:
                home.in_use += 1
                self._leave(claim, home, agents)
                moves[place] = home
        return moves

    def choose_own(self, claims: Sequence[Claim], agents: Agents) -> Moves:
        """The same, of agents that work for the task's own user alone; `agents` are everybody's."""
        moves: Moves = {}
        for place, claim in enumerate(claims):
            own = self._reserve_own(claim, agents[claim.agent_id])
            if own is not None:
                self._leave(claim, own, agents)
                moves[place] = own
        return moves

    def _leave(self, claim: Claim, home: ConnectedAgent, agents: Agents) -> None:
        present = agents[claim.agent_id]
        present.in_use -= 1
        self._ready.add(present)
        agents[home.id] = home

    def _of_key(self, claim: Claim, owner: Owner, present: ConnectedAgent) -> ConnectedAgent | None:
        key = self._balancer.key(claim.queue, claim.affinity_key, claim.user_id)
        if key is None:
            return None
        ring = self._balancer.ring(claim.queue, owner, self._registry)
        home = ring.home(key, present=present, here=True, reserved=self._reserved)
        return home if isinstance(home, ConnectedAgent) and home is not present else None

    def _reserve_own(self, claim: Claim, present: ConnectedAgent) -> ConnectedAgent | None:
        if not self._ready.serves(claim.queue, claim.user_id):
            return None
        home = self._of_key(claim, claim.user_id, present)
        if home is not None:
            home.in_use += 1
            return home
        windows = self._ready.windows(claim.queue, claim.user_id, tasks=OWN_TASKS)
        some: Sequence[ConnectedAgent] = next(windows, ())
        return next(iter(self._balancer.pick(some, queue=claim.queue, limit=1)), None)

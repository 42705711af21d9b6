"""The agents of each queue that may have room: ten thousand need not be looked at for each claim.

Who is found without room is not looked at again before somebody says that it has some; what nobody
has said is found by `refresh`, in a large fleet more rarely. A claim chooses among the next in
turn, however many there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from orchestra.features.agents import AgentId, ConnectedAgent, Registry
from orchestra.features.tasks.repository.claiming import MAX_CLAIM
from orchestra.features.tasks.service.dispatch.peers import Owner

# For each task so many with room are chosen among: the least busy of these is nearly as good as
# of all.
CHOICES = 4
WINDOW = CHOICES * MAX_CLAIM
REFRESHED_AT_ONCE = 1_000


@dataclass(slots=True)
class _Line:
    """Who serves a queue for one owner, and who of these may have room, in turn."""

    members: set[AgentId] = field(default_factory=set[AgentId])
    ready: dict[AgentId, ConnectedAgent] = field(default_factory=dict[AgentId, ConnectedAgent])


class Ready:
    """One for each dispatcher; what it thinks of an agent is right or too hopeful."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._lines: dict[str, dict[Owner, _Line]] = {}
        self._rounds: dict[str, Iterator[ConnectedAgent]] = {}

    def add(self, agent: ConnectedAgent) -> None:
        """The agent may have room that it did not have before."""
        for name in agent.queues:
            self._put(name, agent)

    def forget(self, agent: ConnectedAgent) -> None:
        """The agent has gone."""
        for name in agent.queues:
            for owner in self.owners(name):
                self._leave(name, owner, agent)

    def refresh(self, name: str) -> None:
        """Some that serve the queue are looked at again: of a large fleet the next in turn."""
        some = list(islice(self._rounds.get(name, iter(())), REFRESHED_AT_ONCE))
        if not some:
            self._rounds[name] = iter(self._registry.serving(name))
            some = list(islice(self._rounds[name], REFRESHED_AT_ONCE))
        for agent in some:
            if not agent.gone:
                self._put(name, agent)

    def owners(self, name: str) -> list[Owner]:
        """For whom agents of the queue work; None: for everybody."""
        return list(self._lines.get(name, ()))

    def serves(self, name: str, owner: Owner) -> bool:
        """Whether agents of the queue work for an owner."""
        return owner in self._lines.get(name, ())

    def count(self, name: str, owner: Owner) -> int:
        """How many agents of the queue work for an owner, be there room or not."""
        return len(self._lines.get(name, {}).get(owner, _Line()).members)

    def windows(
        self, name: str, owner: Owner, *, tasks: int = MAX_CLAIM
    ) -> Iterator[list[ConnectedAgent]]:
        """Agents that have room, those first that were not looked at for longest; each once.

        Enough for so many `tasks`; in each window after the first, for twice as many.
        """
        line = self._lines.get(name, {}).get(owner, _Line())
        left, size = len(line.ready), CHOICES * tasks
        while left > 0 and line.ready:
            looked_at = list(islice(line.ready.values(), min(left, size)))
            left -= len(looked_at)
            size = min(WINDOW, 2 * size)
            window = [agent for agent in looked_at if self._turn(name, owner, agent)]
            if window:
                yield window

    def _put(self, name: str, agent: ConnectedAgent) -> None:
        line = self._lines.setdefault(name, {}).setdefault(_owner_of(agent), _Line())
        line.members.add(agent.id)
        line.ready.setdefault(agent.id, agent)

    def _turn(self, name: str, owner: Owner, agent: ConnectedAgent) -> bool:
        """Puts the agent behind the others if it has room; otherwise takes it out."""
        if agent.gone or _owner_of(agent) != owner:
            self._leave(name, owner, agent)
            return False
        ready = self._lines[name][owner].ready
        ready.pop(agent.id, None)
        if agent.room((name,)) <= 0:
            return False
        ready[agent.id] = agent
        return True

    def _leave(self, name: str, owner: Owner, agent: ConnectedAgent) -> None:
        """Not if the agent has connected again meanwhile: then it is another one."""
        line = self._lines[name][owner]
        if line.ready.get(agent.id, agent) is not agent:
            return
        line.ready.pop(agent.id, None)
        line.members.discard(agent.id)
        if not line.members:
            del self._lines[name][owner]
            if not self._lines[name]:
                del self._lines[name]
                self._rounds.pop(name, None)


def _owner_of(agent: ConnectedAgent) -> Owner:
    return None if agent.shared else agent.owner_id

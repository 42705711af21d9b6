"""The agents that are connected to this control plane, by id and by queue. All in memory."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator

import structlog
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.agents.errors import NameTaken
from orchestra.features.agents.service.connected import ConnectedAgent
from orchestra.features.agents.types import Agent, AgentId, Standing
from orchestra.foundation import clock

log = structlog.get_logger(__name__)

# Heartbeats that may be missed before an agent gets nothing new.
MISSED_BEATS = 3
# What a control plane wants to hear in a second; more agents beat less often. Measured: a thousand
# cost some 20 % of a core, nearly all of it in gRPC.
BEATS_PER_SECOND = 400
LONGEST_BEAT_SECONDS = 30.0


class Registry:
    """Who is connected here, by id and by the queues they serve."""

    def __init__(self, *, heartbeat_seconds: float) -> None:
        self._heartbeat_seconds = heartbeat_seconds
        self._agents: dict[AgentId, ConnectedAgent] = {}
        self._by_queue: defaultdict[str, dict[AgentId, ConnectedAgent]] = defaultdict(dict)
        self._left: list[ConnectedAgent] = []
        self._changed: list[ConnectedAgent] = []
        self.has_changes = asyncio.Event()
        self.version = 0  # another one after every coming and going
        self.on_capacity: Callable[[ConnectedAgent], None] = lambda agent: None

    def __len__(self) -> int:
        return len(self._agents)

    def __iter__(self) -> Iterator[ConnectedAgent]:
        return iter(list(self._agents.values()))

    def get(self, agent_id: uuid.UUID) -> ConnectedAgent | None:
        return self._agents.get(AgentId(agent_id))

    def serving(self, queue: str) -> list[ConnectedAgent]:
        """The connected agents that take tasks of a queue."""
        return list(self._by_queue[queue].values()) if queue in self._by_queue else []

    def serves(self, queue: str) -> bool:
        """Whether any agent here takes tasks of a queue."""
        return queue in self._by_queue and bool(self._by_queue[queue])

    @property
    def beat_seconds(self) -> float:
        """How often agents are asked to beat."""
        shared = len(self._agents) / BEATS_PER_SECOND
        return max(self._heartbeat_seconds, min(shared, LONGEST_BEAT_SECONDS))

    @property
    def queues(self) -> list[str]:
        return list(self._by_queue)

    def check_free(self, agent_id: AgentId, instance_id: str) -> None:
        """Raises NameTaken if another process of the agent is connected here and alive."""
        present = self._agents.get(agent_id)
        if present is None or present.instance_id == instance_id or present.unhealthy:
            return
        raise NameTaken(
            f"Another process is connected as {present.name!r}; give each process its own name."
        )

    def connect(
        self, record: Agent, *, instance_id: str, slots: int, backlog: int = 0
    ) -> ConnectedAgent:
        """Adds an agent; who was connected under its id before must have been disconnected."""
        agent = ConnectedAgent(record, instance_id=instance_id, slots=slots, backlog=backlog)
        agent.beat_seconds = self.beat_seconds
        self._agents[agent.id] = agent
        self.version += 1
        for queue in agent.queues:
            self._by_queue[queue][agent.id] = agent
        agent.on_change = self._note_change
        self._note_change(agent)
        return agent

    def disconnect(self, agent: ConnectedAgent) -> None:
        """Takes an agent out; it is written down as offline unless it is back by then."""
        agent.gone = True
        if self._agents.get(agent.id) is not agent:
            return
        del self._agents[agent.id]
        self.version += 1
        for queue in agent.queues:
            self._by_queue[queue].pop(agent.id, None)
            if not self._by_queue[queue]:
                del self._by_queue[queue]
        self._left.append(agent)
        self.has_changes.set()

    def beat(self, agent_id: uuid.UUID, message: pb.HeartbeatMessage) -> bool:
        """Takes in a heartbeat; False if the agent's stream is not here."""
        agent = self._agents.get(AgentId(agent_id))
        if agent is None:
            return False
        agent.hear(message)
        # What it is told now counts for its next beat, not for the one it has just sent.
        agent.beat_seconds = self.beat_seconds
        if agent.unhealthy:
            agent.find_fault("")
            self.on_capacity(agent)
        return True

    def take_standing(self, agent: ConnectedAgent, standing: Standing) -> None:
        """What an agent may do has been decided anew."""
        agent.standing_at = clock.monotonic()
        if agent.standing != standing:
            agent.standing = standing
            agent.touch()
            self.on_capacity(agent)

    def check_health(self) -> None:
        """Marks the agents whose heartbeat is late, and those whose trial begins."""
        now, moment = clock.monotonic(), clock.now()
        for agent in self._agents.values():
            if agent.beat_at < now - MISSED_BEATS * agent.beat_seconds and not agent.unhealthy:
                agent.find_fault(f"no heartbeat for {now - agent.beat_at:.0f} s")
                log.warning("an agent's heartbeat is late", agent=agent.name)
            quarantine = agent.standing.quarantine
            if quarantine is not None and quarantine.is_on_trial(moment):
                agent.touch()

    def take_changed(self) -> list[ConnectedAgent]:
        """Those of which something may have changed since the last call."""
        changed, self._changed = self._changed, []
        self.has_changes.clear()
        for agent in changed:
            agent.is_changed = False
        return [agent for agent in changed if not agent.gone]

    def take_left(self) -> list[ConnectedAgent]:
        """Those that have gone since the last call, and have not come back."""
        left, self._left = self._left, []
        return [agent for agent in left if agent.id not in self._agents]

    def _note_change(self, agent: ConnectedAgent) -> None:
        self._changed.append(agent)
        self.has_changes.set()

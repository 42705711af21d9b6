"""The agents that are connected to this control plane: slots, health, counters. All in memory."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec
import structlog

from orchestra.features.agents.errors import NameTaken
from orchestra.features.agents.types import (
    Agent,
    AgentId,
    AgentStatus,
    Beat,
    LiveState,
    Performance,
    Resources,
)
from orchestra.foundation import clock

log = structlog.get_logger(__name__)

# Heartbeats that may be missed before an agent gets nothing new.
MISSED_BEATS = 3


class ConnectedAgent:
    """One agent at this control plane. Whoever gives it work counts the slots in use."""

    __slots__ = (
        "_record", "beat_at", "busy_seconds", "completed", "draining", "failed", "gone", "in_use",
        "instance_id", "last_heartbeat", "resources", "round_trip", "shown", "slots", "unhealthy",
        "welcomed", "written_at", "written_in_use",
    )  # fmt: skip

    def __init__(self, record: Agent, *, instance_id: str, slots: int) -> None:
        self._record = record
        self.instance_id = instance_id
        self.slots = slots
        self.in_use = 0
        self.draining = False
        self.welcomed = False  # until then it may drop what it is given
        self.gone = False  # for good: when it comes back, it is a new one
        self.unhealthy = False
        self.beat_at = clock.monotonic()
        self.last_heartbeat: datetime | None = clock.now()
        self.resources: Resources | None = None
        self.round_trip = 0.0
        self.completed = self.failed = 0  # since the last write
        self.busy_seconds = 0.0
        self.shown: tuple[AgentStatus, str] | None = None
        self.written_at = float("-inf")
        self.written_in_use = 0

    @property
    def id(self) -> AgentId:
        return self._record.id

    @property
    def name(self) -> str:
        return self._record.name

    @property
    def owner_id(self) -> uuid.UUID:
        return self._record.owner_id

    @property
    def shared(self) -> bool:
        """Whether it works for everybody, or for its owner alone."""
        return self._record.shared

    @property
    def restorable(self) -> bool:
        return self._record.restorable

    @property
    def queues(self) -> list[str]:
        """What it serves: its capabilities, and the queue of its own."""
        return [*self._record.capabilities, str(self.id)]

    @property
    def free(self) -> int:
        """How many tasks it can be given now."""
        if not self.welcomed:
            return 0
        if self.gone or self.draining or self.unhealthy:
            return 0
        return max(0, self.slots - self.in_use)

    @property
    def status(self) -> AgentStatus:
        if self.unhealthy:
            return AgentStatus.UNHEALTHY
        if self.draining:
            return AgentStatus.DRAINING
        return AgentStatus.BUSY if self.in_use >= self.slots else AgentStatus.ONLINE

    @property
    def reason(self) -> str:
        if self.unhealthy:
            return f"no heartbeat for {clock.monotonic() - self.beat_at:.0f} s"
        return "asked to finish and reconnect" if self.draining else ""

    def count(self, *, succeeded: bool, seconds: float) -> None:
        """Notes the end of a task that it has worked on."""
        self.completed += succeeded
        self.failed += not succeeded
        self.busy_seconds += seconds

    def view(self, status: AgentStatus | None = None, reason: str = "") -> Agent:
        """The agent as everybody sees it now."""
        known = self._record.performance
        ended = known.tasks_completed + known.tasks_failed
        busy = known.average_duration_seconds * ended + self.busy_seconds
        ended += self.completed + self.failed
        return msgspec.structs.replace(
            self._record,
            status=status or self.status,
            reason=reason or self.reason,
            slots=self.slots,
            slots_in_use=self.in_use,
            resources=self.resources,
            performance=Performance(
                tasks_completed=known.tasks_completed + self.completed,
                tasks_failed=known.tasks_failed + self.failed,
                average_duration_seconds=busy / ended if ended else 0.0,
                round_trip_seconds=self.round_trip,
            ),
            last_heartbeat=self.last_heartbeat,
        )

    def take_state(self, status: AgentStatus, reason: str) -> LiveState:
        """What to write down now; the counters begin anew, on top of what was known."""
        state = LiveState(
            id=self.id,
            status=status,
            reason=reason,
            slots_in_use=0 if status is AgentStatus.OFFLINE else self.in_use,
            resources=self.resources,
            round_trip_seconds=self.round_trip,
            last_heartbeat=self.last_heartbeat,
            completed=self.completed,
            failed=self.failed,
            busy_seconds=self.busy_seconds,
        )
        self._record = self.view(status, reason)
        self.completed = self.failed = 0
        self.busy_seconds = 0.0
        self.written_at = clock.monotonic()
        self.written_in_use = self.in_use
        return state


class Registry:
    """Who is connected here, by id and by the queues they serve."""

    def __init__(self, *, heartbeat_seconds: float) -> None:
        self._patience = heartbeat_seconds * MISSED_BEATS
        self._agents: dict[AgentId, ConnectedAgent] = {}
        self._by_queue: defaultdict[str, dict[AgentId, ConnectedAgent]] = defaultdict(dict)
        self._left: list[ConnectedAgent] = []
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

    def connect(self, record: Agent, *, instance_id: str, slots: int) -> ConnectedAgent:
        """Adds an agent; who was connected under its id before must have been disconnected."""
        agent = ConnectedAgent(record, instance_id=instance_id, slots=slots)
        self._agents[agent.id] = agent
        for queue in agent.queues:
            self._by_queue[queue][agent.id] = agent
        return agent

    def disconnect(self, agent: ConnectedAgent) -> None:
        """Takes an agent out; it is written down as offline unless it is back by then."""
        agent.gone = True
        if self._agents.get(agent.id) is not agent:
            return
        del self._agents[agent.id]
        for queue in agent.queues:
            self._by_queue[queue].pop(agent.id, None)
            if not self._by_queue[queue]:
                del self._by_queue[queue]
        self._left.append(agent)

    def beat(self, agent_id: uuid.UUID, beat: Beat) -> bool:
        """Takes in a heartbeat; False if the agent's stream is not here."""
        agent = self._agents.get(AgentId(agent_id))
        if agent is None:
            return False
        agent.beat_at = clock.monotonic()
        agent.last_heartbeat = clock.now()
        agent.resources = beat.resources
        agent.round_trip = beat.round_trip_seconds
        if agent.unhealthy:
            agent.unhealthy = False
            self.on_capacity(agent)
        return True

    def check_health(self) -> None:
        """Marks the agents whose heartbeat is late."""
        limit = clock.monotonic() - self._patience
        for agent in self._agents.values():
            if agent.beat_at < limit and not agent.unhealthy:
                agent.unhealthy = True
                log.warning("an agent's heartbeat is late", agent=agent.name)

    def take_left(self) -> list[ConnectedAgent]:
        """Those that have gone since the last call, and have not come back."""
        left, self._left = self._left, []
        return [agent for agent in left if agent.id not in self._agents]

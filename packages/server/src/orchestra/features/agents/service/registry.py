"""The agents that are connected to this control plane: slots, health, counters. All in memory."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import msgspec
import structlog
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.agents.errors import NameTaken
from orchestra.features.agents.service.beats import to_beat
from orchestra.features.agents.service.latency import PeakEwma
from orchestra.features.agents.types import (
    Agent,
    AgentId,
    AgentStatus,
    Beat,
    Health,
    LiveState,
    Performance,
    Resources,
    Standing,
)
from orchestra.foundation import clock

log = structlog.get_logger(__name__)

# Heartbeats that may be missed before an agent gets nothing new.
MISSED_BEATS = 3


class ConnectedAgent:
    """One agent at this control plane. Whoever gives it work counts the slots in use."""

    __slots__ = (
        "_beat", "_draining", "_heard", "_in_use", "_record", "_unhealthy", "beat_at",
        "busy_seconds", "completed", "connected_at", "did_well", "failed", "gone", "health",
        "instance_id", "is_changed", "latencies", "on_change", "shown", "slots", "standing",
        "welcomed", "written_at", "written_in_use",
    )  # fmt: skip

    def __init__(self, record: Agent, *, instance_id: str, slots: int) -> None:
        self._record = record
        self.on_change: Callable[[ConnectedAgent], None] = lambda agent: None
        self.instance_id = instance_id
        self.slots = slots
        self.standing = Standing(drain=record.drain, quarantine=record.quarantine)
        self._in_use = 0
        self._draining = False
        self._unhealthy = ""
        self.welcomed = False  # until then it may drop what it is given
        self.gone = False  # for good: when it comes back, it is a new one
        self.is_changed = True  # since it was last looked at
        self.connected_at = self.beat_at = clock.monotonic()
        self.did_well = False  # though it was blamed or on trial; to be noted
        self._heard: pb.HeartbeatMessage | None = None
        self._beat: Beat | None = None
        self.health = record.health or Health()
        self.latencies = PeakEwma()
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
    def in_use(self) -> int:
        """How many of its slots are taken."""
        return self._in_use

    @in_use.setter
    def in_use(self, value: int) -> None:
        self._in_use = value
        self.touch()

    @property
    def draining(self) -> bool:
        """Whether it, or this control plane, is about to stop."""
        return self._draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self._draining = value
        self.touch()

    @property
    def unhealthy(self) -> bool:
        return bool(self._unhealthy)

    def find_fault(self, why: str) -> None:
        """It gets nothing because of this; an empty text: nothing is wrong any more."""
        if why != self._unhealthy:
            self._unhealthy = why
            self.touch()

    def touch(self) -> None:
        """Something about it may have changed that is to be shown."""
        if not self.is_changed:
            self.is_changed = True
            self.on_change(self)

    @property
    def free(self) -> int:
        """How many tasks it can be given now."""
        if not self.welcomed:
            return 0
        if self.gone or self._draining or self._unhealthy or self.standing.drain is not None:
            return 0
        quarantine = self.standing.quarantine
        if quarantine is not None:
            is_on_trial = quarantine.is_on_trial(clock.now())
            return 1 if is_on_trial and self._in_use == 0 else 0
        return max(0, self.slots - self._in_use)

    @property
    def status(self) -> AgentStatus:
        if self._unhealthy:
            return AgentStatus.UNHEALTHY
        if self.standing.quarantine is not None:
            return AgentStatus.QUARANTINED
        if self._draining or self.standing.drain is not None:
            return AgentStatus.DRAINING
        return AgentStatus.BUSY if self._in_use >= self.slots else AgentStatus.ONLINE

    @property
    def reason(self) -> str:
        if self._unhealthy:
            return self._unhealthy
        if self.standing.quarantine is not None:
            return self.standing.quarantine.sentence(clock.now())
        if self.standing.drain is not None:
            return self.standing.drain.sentence
        return "asked to finish and reconnect" if self._draining else ""

    def hear(self, message: pb.HeartbeatMessage) -> None:
        """A heartbeat has come; it is read when somebody wants to know."""
        self.beat_at = clock.monotonic()
        self._heard, self._beat = message, None

    @property
    def beat(self) -> Beat | None:
        """What its newest heartbeat says."""
        if self._beat is None and self._heard is not None:
            self._beat = to_beat(self._heard)
        return self._beat

    @property
    def last_heartbeat(self) -> datetime:
        return clock.now() - timedelta(seconds=clock.monotonic() - self.beat_at)

    @property
    def round_trip(self) -> float:
        """Of its heartbeat, as it measures it, in seconds."""
        return self.beat.round_trip_seconds if self.beat else 0.0

    @property
    def latency(self) -> float:
        """How long its tasks take of late, in seconds; 0 when it has done none."""
        return self.latencies.seconds

    @property
    def resources(self) -> Resources | None:
        return self.beat.resources if self.beat else None

    def count(self, *, succeeded: bool, seconds: float) -> None:
        """Notes the end of a task that it has worked on."""
        self.completed += succeeded
        self.failed += not succeeded
        self.busy_seconds += seconds
        # One that fails at once is not quick.
        if succeeded or seconds > self.latencies.seconds:
            self.latencies.observe(seconds)
        if succeeded:
            self.vouch()

    def vouch(self) -> None:
        """It has done something well; of one that was blamed or is on trial that is noted."""
        trial = self.standing.quarantine
        if self.standing.is_blamed or (trial is not None and trial.is_on_trial(clock.now())):
            self.did_well = True
            self.touch()

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
            drain=self.standing.drain,
            quarantine=self.standing.quarantine,
            health=self.health,
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
            health=self.health,
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
        if agent.unhealthy:
            agent.find_fault("")
            self.on_capacity(agent)
        return True

    def take_standing(self, agent: ConnectedAgent, standing: Standing) -> None:
        """What an agent may do has been decided anew."""
        if agent.standing != standing:
            agent.standing = standing
            agent.touch()
            self.on_capacity(agent)

    def check_health(self) -> None:
        """Marks the agents whose heartbeat is late, and those whose trial begins."""
        now, moment = clock.monotonic(), clock.now()
        limit = now - self._patience
        for agent in self._agents.values():
            if agent.beat_at < limit and not agent.unhealthy:
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

"""One agent at this control plane: its slots, its health, what it may do, what it has done."""

import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import msgspec
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.agents.service.beats import to_beat
from orchestra.features.agents.service.latency import PeakEwma
from orchestra.features.agents.service.pace import Pace
from orchestra.features.agents.types import (
    Agent,
    AgentId,
    AgentStatus,
    Beat,
    Health,
    LiveState,
    Performance,
    Probe,
    Resources,
    Standing,
)
from orchestra.foundation import clock


class ConnectedAgent:
    """One agent at this control plane. Whoever gives it work counts the slots in use."""

    __slots__ = (
        "_beat", "_draining", "_heard", "_in_use", "_record", "_unhealthy", "beat_at",
        "beat_seconds", "busy_seconds", "completed", "did_well", "event_at", "failed", "gone",
        "health", "instance_id", "is_changed", "latencies", "on_change", "pace", "parting", "shown",
        "slots", "standing", "standing_at", "welcomed", "written_at", "written_in_use",
    )  # fmt: skip

    def __init__(self, record: Agent, *, instance_id: str, slots: int, backlog: int = 0) -> None:
        self._record = record
        self.on_change: Callable[[ConnectedAgent], None] = lambda agent: None
        self.instance_id = instance_id
        self.slots = slots
        self.pace = Pace(slots=slots, most=backlog)
        self.standing = Standing(drain=record.drain, quarantine=record.quarantine)
        self._in_use = 0
        self._draining = False
        self._unhealthy = ""
        self.welcomed = False  # until then it may drop what it is given
        self.gone = False  # for good: when it comes back, it is a new one
        self.parting = ""  # why it goes, if that is known
        self.is_changed = True  # since it was last looked at
        self.standing_at = self.beat_at = clock.monotonic()
        self.beat_seconds = 0.0  # how often it was asked to beat
        self.did_well = False  # though it was blamed or on trial; to be noted
        self._heard: pb.HeartbeatMessage | None = None
        self._beat: Beat | None = None
        self.health = record.health or Health()
        self.event_at: float | None = None  # when one of its runs last said something
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
        decided = self.standing.shared
        return self._record.shared if decided is None else decided

    @property
    def restorable(self) -> bool:
        return self._record.restorable

    @property
    def queues(self) -> list[str]:
        """What it serves: its capabilities, and the queue of its own."""
        return [*self._record.capabilities, str(self.id)]

    @property
    def in_use(self) -> int:
        """How many tasks it has, also those that wait there for a slot."""
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
    def probes(self) -> list[tuple[str, float]]:
        """The capabilities that want to be probed, and how often, in seconds."""
        known = set(self._record.capabilities)
        return [
            (item.name, item.probe_seconds)
            for item in self._record.capability_details
            if item.probe_seconds > 0 and item.name in known
        ]

    @property
    def free(self) -> int:
        """How many tasks it can be given now."""
        if self._has_to_rest:
            return 0
        quarantine = self.standing.quarantine
        if quarantine is not None:
            is_on_trial = quarantine.is_on_trial(clock.now())
            return 1 if is_on_trial and self._in_use == 0 else 0
        return max(0, self.slots - self._in_use)

    def room(self, capabilities: Iterable[str]) -> int:
        """How many of these it can be given now: in free slots, and to wait for one."""
        free = self.free
        if self.standing.quarantine is not None or self._has_to_rest:
            return free
        return max(0, self.slots - self._in_use + self.pace.backlog(capabilities))

    def is_hungry(self, capabilities: Iterable[str]) -> bool:
        """Whether it is worth a claim: a slot is free, or half of what may wait there is gone."""
        if self.free:
            return True
        beyond = self.pace.backlog(capabilities)
        return beyond > 0 and 2 * (self._in_use - self.slots) <= beyond

    @property
    def _has_to_rest(self) -> bool:
        if not self.welcomed or self.gone:
            return True
        return self._draining or bool(self._unhealthy) or self.standing.drain is not None

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

    @property
    def farewell(self) -> str:
        """Why it has gone, and what was wrong with it before."""
        why = self.parting or "disconnected"
        return f"{why}; before: {self._unhealthy}" if self._unhealthy else why

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

    @property
    def written(self) -> Agent:
        """The agent as it was last written down."""
        return self._record

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

    def note_stream(self, seconds: float) -> None:
        """Its stream has answered after so long."""
        self.health = msgspec.structs.replace(self.health, stream_seconds=seconds)

    def note_probe(self, seen: Probe) -> None:
        others = [item for item in self.health.probes if item.capability != seen.capability]
        self.health = msgspec.structs.replace(self.health, probes=[*others, seen])

    def pass_trial(self) -> None:
        """A check has shown that it works; failures of tasks before a quarantine still count."""
        trial = self.standing.quarantine
        if trial is not None and trial.is_on_trial(clock.now()):
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
            slots_in_use=min(self.in_use, self.slots),
            resources=self.resources,
            performance=Performance(
                tasks_completed=known.tasks_completed + self.completed,
                tasks_failed=known.tasks_failed + self.failed,
                average_duration_seconds=busy / ended if ended else 0.0,
                round_trip_seconds=self.round_trip,
            ),
            last_heartbeat=self.last_heartbeat,
            shared=self.shared,
            drain=self.standing.drain,
            quarantine=self.standing.quarantine,
            health=self._health(),
        )

    def _health(self) -> Health:
        if self.event_at is None:
            return self.health
        ago = timedelta(seconds=clock.monotonic() - self.event_at)
        return msgspec.structs.replace(self.health, last_event_at=clock.now() - ago)

    def take_state(self, status: AgentStatus, reason: str) -> LiveState:
        """What to write down now; the counters begin anew, on top of what was known."""
        state = LiveState(
            id=self.id,
            status=status,
            reason=reason,
            slots_in_use=0 if status is AgentStatus.OFFLINE else min(self.in_use, self.slots),
            resources=self.resources,
            round_trip_seconds=self.round_trip,
            last_heartbeat=self.last_heartbeat,
            completed=self.completed,
            failed=self.failed,
            busy_seconds=self.busy_seconds,
            latency_seconds=self.latency,
            health=self._health(),
        )
        self._record = self.view(status, reason)
        self.completed = self.failed = 0
        self.busy_seconds = 0.0
        self.written_at = clock.monotonic()
        self.written_in_use = self.in_use
        return state

    def give_back(self, state: LiveState, former: Agent) -> None:
        """What was taken could not be written: it is as if it had not been taken."""
        self._record = former
        self.completed += state.completed
        self.failed += state.failed
        self.busy_seconds += state.busy_seconds
        self.written_at = float("-inf")

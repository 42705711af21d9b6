"""What an agent is, as the database has it and as the wire shows it."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

import msgspec

AgentId = NewType("AgentId", uuid.UUID)


class AgentStatus(StrEnum):
    ONLINE = "online"  # connected, with free slots
    BUSY = "busy"  # connected, every slot in use
    DRAINING = "draining"  # finishes what it has, takes nothing new
    QUARANTINED = "quarantined"  # has failed too often: gets nothing, and then one task at a time
    UNHEALTHY = "unhealthy"  # connected, but its heartbeat or its stream is late
    OFFLINE = "offline"  # not connected
    NEVER_CONNECTED = "never_connected"  # is let in, and has not come yet


AWAY = frozenset({AgentStatus.OFFLINE, AgentStatus.NEVER_CONNECTED})


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent can do; the schemas are JSON Schema, None when untyped."""

    name: str
    description: str = ""
    input_schema: Any = None
    output_schema: Any = None
    probe_seconds: float = 0.0  # how often it wants to be probed; 0: never


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """How loaded an agent's machine is: shares from 0 to 1, bytes since the agent started."""

    cpu_usage: float = 0.0
    memory_usage: float = 0.0
    disk_usage: float = 0.0
    network_bytes_in: int = 0
    network_bytes_out: int = 0


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent has done so far; durations in seconds."""

    tasks_completed: int = 0
    tasks_failed: int = 0
    average_duration_seconds: float = 0.0
    round_trip_seconds: float = 0.0


class Drain(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has asked that an agent gets nothing new; it holds across restarts of the agent."""

    at: datetime
    by: str
    reason: str = ""

    @property
    def sentence(self) -> str:
        return f"drained by {self.by}" + (f": {self.reason}" if self.reason else "")


class Quarantine(msgspec.Struct, frozen=True, kw_only=True):
    """Why an agent gets nothing. After `until` it gets one task at a time, until one succeeds.

    Without `until` it lasts until somebody releases the agent. `round` counts those in a row.
    """

    at: datetime
    until: datetime | None
    by: str
    reason: str
    round: int = 1

    def is_on_trial(self, now: datetime) -> bool:
        return self.until is not None and now >= self.until

    def sentence(self, now: datetime) -> str:
        if self.until is None:
            return f"in quarantine by {self.by}: {self.reason}"
        if self.is_on_trial(now):
            return f"on trial, one task at a time until one succeeds: {self.reason}"
        return f"in quarantine until {self.until:%H:%M:%S} UTC: {self.reason}"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent may do now, as the database has it."""

    drain: Drain | None = None
    quarantine: Quarantine | None = None
    is_blamed: bool = False  # it has failed since it last did a task well
    shared: bool | None = None  # works for everybody, or its owner alone; None: as it registered


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What a capability's own check last said."""

    capability: str
    healthy: bool
    message: str
    at: datetime
    seconds: float


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The signals beside the heartbeat: its stream, its runs, its probes."""

    stream_seconds: float | None = None  # round trip of its long stream
    last_event_at: datetime | None = None  # of any of its runs
    probes: list[Probe] = []


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as everybody who may see it sees it."""

    id: AgentId
    name: str
    owner_id: uuid.UUID
    # Told by REST to its owner and to administrators.
    owner_name: str | None = None
    shared: bool
    capabilities: list[str]
    capability_details: list[Capability]
    status: AgentStatus
    reason: str
    version: str
    slots: int
    slots_in_use: int
    labels: dict[str, str]
    resources: Resources | None
    performance: Performance
    connected_at: datetime | None
    last_heartbeat: datetime | None
    restorable: bool = False
    control_plane: str | None = None  # where it is connected, or last was
    models: list[str] = []  # those that its label `models` names, separated by commas
    drain: Drain | None = None
    quarantine: Quarantine | None = None
    health: Health | None = None


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of itself; checked by `service.registration`."""

    name: str
    capabilities: list[str]
    capability_details: list[Capability]
    version: str
    slots: int
    labels: dict[str, str]
    restorable: bool


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """One heartbeat."""

    resources: Resources
    slots_in_use: int
    round_trip_seconds: float


class LiveState(msgspec.Struct, frozen=True, kw_only=True):
    """What its control plane writes down of an agent now and then; counters are increments."""

    id: AgentId
    status: AgentStatus
    reason: str
    slots_in_use: int
    resources: Resources | None
    round_trip_seconds: float
    last_heartbeat: datetime | None
    completed: int
    failed: int
    busy_seconds: float
    latency_seconds: float
    health: Health | None

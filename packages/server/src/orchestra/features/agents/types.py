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
    UNHEALTHY = "unhealthy"  # connected, but its heartbeat is late
    OFFLINE = "offline"  # not connected


CONNECTED = frozenset(AgentStatus) - {AgentStatus.OFFLINE}


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent can do; the schemas are JSON Schema, None when untyped."""

    name: str
    description: str = ""
    input_schema: Any = None
    output_schema: Any = None


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


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as everybody who may see it sees it."""

    id: AgentId
    name: str
    owner_id: uuid.UUID
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

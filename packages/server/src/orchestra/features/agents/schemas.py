"""What REST carries about agents, and how agents look in protobuf."""

from datetime import datetime
from typing import Any

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.agents.types import (
    Agent,
    AgentStatus,
    Capability,
    Performance,
    Registration,
    Resources,
)
from orchestra.foundation import timestamps
from orchestra.foundation.errors import FieldError, InvalidInput
from orchestra.foundation.web import Body, View

MAX_SCHEMA_BYTES = 64 * 1024

STATUS_TO_WIRE: dict[AgentStatus, pb.AgentStatus.ValueType] = {
    AgentStatus.ONLINE: pb.AGENT_STATUS_ONLINE,
    AgentStatus.BUSY: pb.AGENT_STATUS_BUSY,
    AgentStatus.DRAINING: pb.AGENT_STATUS_DRAINING,
    AgentStatus.UNHEALTHY: pb.AGENT_STATUS_UNHEALTHY,
    AgentStatus.OFFLINE: pb.AGENT_STATUS_OFFLINE,
    AgentStatus.NEVER_CONNECTED: pb.AGENT_STATUS_NEVER_CONNECTED,
    AgentStatus.QUARANTINED: pb.AGENT_STATUS_QUARANTINED,
}
STATUS_FROM_WIRE = {wire: status for status, wire in STATUS_TO_WIRE.items()}


class DrainRequest(Body):
    """Why, for whoever asks later."""

    reason: str = ""


class QuarantineRequest(Body):
    """Why, and for how many seconds; without them until the agent is released."""

    reason: str
    seconds: float | None = None


class EnrolmentRequest(Body):
    """`name` binds the token to one agent's name."""

    name: str | None = None


class EnrolmentView(View):
    """Shown once; `command` is what to type on the agent's machine."""

    token: str
    expires_at: datetime
    command: str


class EnrolRequest(Body):
    token: str
    name: str


class EnrolledView(View):
    """What an agent keeps: its key, and where to go with it."""

    agent_key: str
    grpc_url: str
    model_base_url: str


def registration_from_wire(request: pb.RegisterAgentRequest) -> Registration:
    """What the agent says of itself; raises InvalidInput for a schema that is not JSON."""
    return Registration(
        name=request.name,
        capabilities=list(dict.fromkeys(request.capabilities)),
        capability_details=[
            Capability(
                name=item.name,
                description=item.description,
                input_schema=_schema(
                    item.input_schema, f"capability_details[{place}].input_schema"
                ),
                output_schema=_schema(
                    item.output_schema, f"capability_details[{place}].output_schema"
                ),
                probe_seconds=item.probe_seconds,
            )
            for place, item in enumerate(request.capability_details)
        ],
        version=request.version,
        slots=request.slots,
        labels=dict(request.labels),
        restorable=request.restorable,
    )


def agent_to_wire(agent: Agent) -> pb.Agent:
    return pb.Agent(
        id=str(agent.id),
        name=agent.name,
        capabilities=agent.capabilities,
        status=STATUS_TO_WIRE[agent.status],
        last_heartbeat=_timestamp(agent.last_heartbeat),
        resources=resources_to_wire(agent.resources),
        performance=performance_to_wire(agent.performance),
        version=agent.version,
        slots=agent.slots,
        slots_in_use=agent.slots_in_use,
        labels=agent.labels,
        reason=agent.reason,
    )


def resources_to_wire(resources: Resources | None) -> pb.ResourceMetrics | None:
    return None if resources is None else pb.ResourceMetrics(**msgspec.structs.asdict(resources))


def performance_to_wire(performance: Performance) -> pb.PerformanceMetrics:
    return pb.PerformanceMetrics(**msgspec.structs.asdict(performance))


def _schema(text: str, field: str) -> Any:
    if not text:
        return None
    if len(text) > MAX_SCHEMA_BYTES:
        raise InvalidInput(f"{field}: too large", fields=[FieldError(field, "too large")])
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        message = "is not JSON"
        raise InvalidInput(f"{field} {message}", fields=[FieldError(field, message)]) from error


def _timestamp(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else timestamps.to_wire(moment)

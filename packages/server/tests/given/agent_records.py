"""Agents as a control plane has them, without a database."""

import uuid

from orchestra.features.agents import Agent
from orchestra.features.agents.types import AgentId, AgentStatus, Performance

NOBODY = uuid.UUID(int=0)


def agent_record(number: int, *, slots: int = 1, owner: uuid.UUID | None = None) -> Agent:
    """The agent of that number, which can echo; shared, unless it has an owner."""
    return Agent(
        id=AgentId(uuid.UUID(int=number)),
        name=f"agent-{number}",
        owner_id=owner or NOBODY,
        shared=owner is None,
        capabilities=["echo"],
        capability_details=[],
        status=AgentStatus.ONLINE,
        reason="",
        version="",
        slots=slots,
        slots_in_use=0,
        labels={},
        resources=None,
        performance=Performance(),
        connected_at=None,
        last_heartbeat=None,
    )

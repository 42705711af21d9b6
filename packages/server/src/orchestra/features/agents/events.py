"""What agents announce: their status when it changes and now and then, and their load."""

import uuid

import msgspec
import nats.errors
import structlog

from orchestra.features.agents.types import Agent
from orchestra.features.events import agent_topic, event_payload
from orchestra.foundation.errors import Unavailable
from orchestra.foundation.messaging import Bus, Message

log = structlog.get_logger(__name__)

# Subjects of every agent.
ALL_AGENTS = "events.agent.>"
# Core NATS, to all control planes: what an agent may do has changed. Who misses it looks anyway.
STANDING_SUBJECT = "control.standing"
# Core NATS, to all control planes: heartbeats of agents that are not connected where they came in.
BEATS_SUBJECT = "control.beats"


async def tell_standing(bus: Bus, agent_id: uuid.UUID) -> None:
    try:
        await bus.announce(STANDING_SUBJECT, str(agent_id).encode())
    except (Unavailable, OSError, nats.errors.Error) as error:
        log.warning("nobody was told", subject=STANDING_SUBJECT, error=str(error))


def status_changed(agent: Agent) -> Message:
    return Message(agent_topic(agent.id), event_payload("agent.status.changed", {"agent": agent}))


def status(agent: Agent) -> Message:
    """The same, though nothing has changed: for readers who have only just come."""
    return Message(agent_topic(agent.id), event_payload("agent.status", {"agent": agent}))


def load(agent: Agent) -> Message:
    """How loaded an agent is, for the metrics stream."""
    measured = {
        "agent_id": agent.id,
        "slots": agent.slots,
        "slots_in_use": agent.slots_in_use,
        "resources": msgspec.to_builtins(agent.resources),
        "performance": msgspec.to_builtins(agent.performance),
    }
    return Message(f"metrics.agent.{agent.id}", event_payload("agent.metrics", measured))

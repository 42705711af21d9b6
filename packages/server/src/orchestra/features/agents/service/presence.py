"""Writes down and announces, in batches, how the agents of this control plane are."""

from orchestra.features.agents import events, repository
from orchestra.features.agents.service.registry import ConnectedAgent, Registry
from orchestra.features.agents.types import AgentStatus, LiveState
from orchestra.foundation import clock
from orchestra.foundation.concurrency import forever
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus, Message

LOOK_SECONDS = 0.25
# An agent whose status stays is written and announced this often.
WRITE_SECONDS = 10.0
# How many slots are in use is known to this.
LOAD_SECONDS = 1.0
# At each look at most this many of those, so that thousands of agents spread over the ten seconds.
WRITES_PER_LOOK = 500


class Presence:
    """Keeps the database and the feeds in step with the registry."""

    def __init__(
        self, registry: Registry, database: Database, bus: Bus, *, control_plane_id: str
    ) -> None:
        self._registry = registry
        self._database = database
        self._bus = bus
        self._control_plane_id = control_plane_id

    async def run(self) -> None:
        """Works until it is cancelled."""
        await forever("agent presence", self._step)

    async def close(self) -> None:
        """Writes down that all have gone: this control plane stops."""
        for agent in self._registry:
            self._registry.disconnect(agent)
        await self.look()

    async def look(self) -> None:
        """One round: health, changes, and who has not been written for long."""
        self._registry.check_health()
        states: list[LiveState] = []
        messages: list[Message] = []
        for agent in self._registry.take_left():
            messages.append(events.status_changed(agent.view(AgentStatus.OFFLINE, "disconnected")))
            states.append(agent.take_state(AgentStatus.OFFLINE, "disconnected"))
        for agent in self._due():
            messages.extend(_announcements(agent))
            states.append(agent.take_state(agent.status, agent.reason))
        if states:
            async with self._database.transaction() as tx:
                await repository.save_states(tx, states, control_plane_id=self._control_plane_id)
        await self._bus.publish_soon(*messages)

    async def _step(self) -> float:
        await self.look()
        return LOOK_SECONDS

    def _due(self) -> list[ConnectedAgent]:
        changed: list[ConnectedAgent] = []
        stale: list[ConnectedAgent] = []
        limit = clock.monotonic() - WRITE_SECONDS
        recently = clock.monotonic() - LOAD_SECONDS
        for agent in self._registry:
            if agent.shown != _shown(agent):
                changed.append(agent)
            elif agent.written_at < limit or (
                agent.in_use != agent.written_in_use and agent.written_at < recently
            ):
                stale.append(agent)
        return [*changed, *stale[:WRITES_PER_LOOK]]


def _announcements(agent: ConnectedAgent) -> list[Message]:
    view = agent.view()
    is_change = agent.shown != _shown(agent)
    agent.shown = _shown(agent)
    event = events.status_changed(view) if is_change else events.status(view)
    return [event] if is_change else [event, events.load(view)]


def _shown(agent: ConnectedAgent) -> tuple[AgentStatus, str]:
    # The reason of a late heartbeat counts seconds; only its beginning is a change.
    return agent.status, "" if agent.unhealthy else agent.reason

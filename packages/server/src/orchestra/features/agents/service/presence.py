"""Keeps the database, the feeds and the registry in step: how the agents of this control plane are,
and what has been decided about them.

It sleeps until something changes; while agents are connected it looks once a second.
"""

import asyncio
import itertools
import uuid
from collections.abc import Container, Sequence

from nats.aio.msg import Msg

from orchestra.features.agents import events, repository
from orchestra.features.agents.service import quarantine
from orchestra.features.agents.service.connected import ConnectedAgent
from orchestra.features.agents.service.registry import Registry
from orchestra.features.agents.types import AgentStatus, Standing
from orchestra.foundation import clock
from orchestra.foundation.concurrency import forever
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus, Message

# Changes are gathered for so long, and written together.
LOOK_SECONDS = 0.25
IDLE_SECONDS = 1.0
# An agent whose status stays is written and announced this often, in a large fleet more rarely.
WRITE_SECONDS = 10.0
WRITES_PER_SECOND = 100
# How many slots are in use is known to this.
LOAD_SECONDS = 1.0
# Of those so many in a second: a little more, so that agents that came together spread.
WRITES_PER_SWEEP = 150
# And so many whose load has changed: of thousands with short tasks each is busy at some moment.
LOADS_PER_LOOK = 100
# In one turn of the loop, for which tasks wait, and in one transaction.
AT_ONCE = 50
# How many agents' heartbeats are looked at in a second; of fewer, all at each look.
CHECKS_PER_SECOND = 10_000
# One becomes the other with every task.
_WORKING = frozenset({AgentStatus.ONLINE, AgentStatus.BUSY})
_NOTHING = Standing()
# Decisions that were not heard of are found within this.
STANDING_SECONDS = 5.0
# After such a silence others may have taken this control plane for dead, and its agents for gone.
TAKEN_FOR_DEAD_SECONDS = 20.0


class Presence:
    """Works for one control plane."""

    def __init__(
        self, registry: Registry, database: Database, bus: Bus, *, control_plane_id: str
    ) -> None:
        self._registry = registry
        self._database = database
        self._bus = bus
        self._control_plane_id = control_plane_id
        self._loads: dict[ConnectedAgent, None] = {}  # who waits longest is first
        self._left: list[ConnectedAgent] = []  # of whom it is not written yet
        self._swept_at = self._read_at = self._healthy_until = float("-inf")

    async def start(self) -> None:
        """Says that this control plane lives, and hears of decisions about its agents."""
        async with self._database.transaction() as tx:
            await repository.seen(tx, self._control_plane_id)
        await self._bus.listen(events.STANDING_SUBJECT, self._on_standing)

    async def run(self) -> None:
        """Works until it is cancelled."""
        await forever("agent presence", self._step)

    async def close(self) -> None:
        """Writes down that all have gone: this control plane stops."""
        for agent in self._registry:
            agent.parting = agent.parting or "its control plane has stopped"
            self._registry.disconnect(agent)
        await self.look()

    async def look(self) -> None:
        """One round: health, decisions, changes, and who has not been written for long.

        What cannot be written now is left for the next round.
        """
        self._check_health()
        await self._say_and_read()
        self._left.extend(self._registry.take_left())
        while self._left:
            gone = [it for it in self._left[:AT_ONCE] if self._registry.get(it.id) is None]
            await self._write(gone, are_gone=True)
            del self._left[:AT_ONCE]
        due = self._due()
        try:
            while due:
                present = [agent for agent in due[:AT_ONCE] if not agent.gone]
                await self._write(present)
                await self._note_well([agent for agent in present if agent.did_well])
                del due[:AT_ONCE]
        finally:
            for agent in due:
                agent.touch()

    def _check_health(self) -> None:
        now = clock.monotonic()
        if now >= self._healthy_until:
            self._healthy_until = now + len(self._registry) / CHECKS_PER_SECOND
            self._registry.check_health()

    async def _write(self, agents: Sequence[ConnectedAgent], *, are_gone: bool = False) -> None:
        """Writes how they are, or why they have gone, and tells of those that are still ours."""
        if not agents:
            return
        formers = [agent.written for agent in agents]
        states = [
            agent.take_state(AgentStatus.OFFLINE, agent.farewell)
            if are_gone
            else agent.take_state(agent.status, agent.reason)
            for agent in agents
        ]
        try:
            async with self._database.transaction() as tx:
                others = await repository.save_states(
                    tx, states, control_plane_id=self._control_plane_id
                )
        except BaseException:
            for agent, state, former in zip(agents, states, formers, strict=True):
                agent.give_back(state, former)
            raise
        ours = [_announcements(agent) for agent in agents if agent.id not in others]
        await self._bus.publish_soon(*itertools.chain.from_iterable(ours))

    async def _step(self) -> float:
        await self.look()
        try:
            # Without agents there is nothing to do before one comes.
            async with asyncio.timeout(IDLE_SECONDS if len(self._registry) else None):
                await self._registry.has_changes.wait()
        except TimeoutError:
            pass
        return LOOK_SECONDS

    async def _say_and_read(self) -> None:
        """Says that this control plane lives, and reads what was decided about its agents."""
        began = clock.monotonic()
        silence = began - self._read_at
        if silence < STANDING_SECONDS or not len(self._registry):
            return
        async with self._database.transaction() as tx:
            await repository.seen(tx, self._control_plane_id)
            known = await repository.standings(tx, self._control_plane_id)
        self._read_at = clock.monotonic()
        if silence > TAKEN_FOR_DEAD_SECONDS:
            for agent in self._registry:
                agent.written_at = float("-inf")
        for agent in self._registry:
            standing = known.get(agent.id, _NOTHING)
            # What it has may have been read later than this.
            if agent.standing != standing and agent.standing_at < began:
                self._registry.take_standing(agent, standing)

    async def _on_standing(self, message: Msg) -> None:
        agent = self._registry.get(uuid.UUID(message.data.decode()))
        if agent is None:
            return
        async with self._database.transaction() as tx:
            standing = await repository.standing(tx, agent.id)
        if standing is not None:
            self._registry.take_standing(agent, standing)

    async def _note_well(self, agents: list[ConnectedAgent]) -> None:
        if not agents:
            return
        async with self._database.transaction() as tx:
            await quarantine.note_well(tx, self._bus, [agent.id for agent in agents])
        for agent in agents:
            agent.did_well = False

    def _due(self) -> list[ConnectedAgent]:
        """What readers are told of at once, loads that have changed, and who is written rarely."""
        due: dict[ConnectedAgent, None] = {}
        for agent in self._registry.take_changed():
            if agent.did_well or _is_news(agent):
                due[agent] = None
            elif agent.in_use != agent.written_in_use:
                self._loads[agent] = None
        due.update(dict.fromkeys([*self._changed_loads(due), *self._stale()]))
        return list(due)

    def _changed_loads(self, due: Container[ConnectedAgent]) -> list[ConnectedAgent]:
        """Those whose load is another than what was written, but for a moment's."""
        recently = clock.monotonic() - LOAD_SECONDS
        changed: list[ConnectedAgent] = []
        for agent in list(self._loads):
            if agent.gone or agent in due or agent.in_use == agent.written_in_use:
                del self._loads[agent]
            elif agent.shown != _shown(agent) or agent.written_at < recently:
                del self._loads[agent]
                changed.append(agent)
                if len(changed) == LOADS_PER_LOOK:
                    break
        return changed

    def _stale(self) -> list[ConnectedAgent]:
        now = clock.monotonic()
        if now - self._swept_at < IDLE_SECONDS:
            return []
        self._swept_at = now
        limit = now - max(WRITE_SECONDS, len(self._registry) / WRITES_PER_SECOND)
        stale = (agent for agent in self._registry if agent.written_at < limit)
        return list(itertools.islice(stale, WRITES_PER_SWEEP))


def _announcements(agent: ConnectedAgent) -> list[Message]:
    view = agent.written
    former, agent.shown = agent.shown, (view.status, view.reason)
    is_change = former != agent.shown
    event = events.status_changed(view) if is_change else events.status(view)
    return [event] if is_change else [event, events.load(view)]


def _is_news(agent: ConnectedAgent) -> bool:
    """Whether it is shown as something else than it is, and not for the sake of a task."""
    shown = _shown(agent)
    if agent.shown is None or agent.shown[0] not in _WORKING or shown[0] not in _WORKING:
        return agent.shown != shown
    return agent.shown[1] != shown[1]


def _shown(agent: ConnectedAgent) -> tuple[AgentStatus, str]:
    return agent.status, agent.reason

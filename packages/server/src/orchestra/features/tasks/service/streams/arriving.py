"""What the database knows of agents that connect, read and written for many at a time.

After a restart of a control plane thousands come within seconds; a transaction for each would be
most of what their return costs.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestra_protocol import agent_pb2 as pb

from orchestra.features import agents
from orchestra.features.agents import Agent, AgentId
from orchestra.features.tasks.repository import leases
from orchestra.features.tasks.repository.leases import Held
from orchestra.features.tasks.service.batching import Batcher
from orchestra.features.tasks.service.streams.late import LateWords
from orchestra.features.tasks.service.streams.returning import forgive, given_up
from orchestra.foundation import clock
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Database
from orchestra.foundation.errors import NotFound


@dataclass(frozen=True, slots=True)
class _Arrival:
    agent_id: uuid.UUID
    instance_id: str


class Arrivals:
    """Works for one control plane."""

    def __init__(self, database: Database, late: LateWords, *, control_plane_id: str) -> None:
        self._database, self._late = database, late
        self._control_plane_id = control_plane_id
        self._records: Batcher[uuid.UUID, Agent | None] = Batcher("read agents", self._read)
        # One at a time: an agent that comes twice must not be in two batches that wait for
        # each other.
        self._notes: Batcher[_Arrival, list[Held]] = Batcher("note agents", self._note, parallel=1)

    async def record(self, actor: Actor, agent_id: str) -> Agent:
        """An agent that the actor's credential may speak for; raises NotFound."""
        return agents.check_owned(actor, await self._records.submit(_id(agent_id)))

    async def note(self, agent_id: AgentId, hello: pb.Hello) -> list[Held]:
        """Writes down that the agent is here now; returns the runs whose lease it has."""
        held = await self._notes.submit(_Arrival(agent_id, hello.instance_id))
        astray = given_up(hello.running, held)
        await forgive(self._database, agent_id, astray)
        for run in astray:
            if run.has_begun:
                self._late.note(run.task_id, run.epoch, agent_id, at=clock.monotonic())
        return held

    async def close(self) -> None:
        await self._records.close()
        await self._notes.close()

    async def _read(self, ids: Sequence[uuid.UUID]) -> Sequence[Agent | None]:
        known: Mapping[AgentId, Agent] = await agents.get_agents(self._database, ids)
        return [known.get(AgentId(agent_id)) for agent_id in ids]

    async def _note(self, arrivals: Sequence[_Arrival]) -> Sequence[list[Held]]:
        instances = {arrival.agent_id: arrival.instance_id for arrival in arrivals}
        async with self._database.transaction() as tx:
            await agents.note_connected(tx, instances, control_plane_id=self._control_plane_id)
            held = await leases.held_by(tx, list(instances))
        return [held.get(arrival.agent_id, []) for arrival in arrivals]


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise NotFound("There is no such agent.") from error

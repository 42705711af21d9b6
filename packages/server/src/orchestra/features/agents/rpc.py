"""The gRPC door of agents: registration, heartbeats, lists and live metrics."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
from nats.aio.msg import Msg
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.agents import events, schemas
from orchestra.features.agents.repository import AgentFilter
from orchestra.features.agents.service import registration
from orchestra.features.agents.service.beats import Forwarder, from_others
from orchestra.features.agents.service.registry import Registry
from orchestra.features.agents.service.room import Room
from orchestra.features.agents.types import Agent
from orchestra.foundation import timestamps
from orchestra.foundation.auth import Actor, Permission, Policy, require
from orchestra.foundation.database import Database
from orchestra.foundation.errors import InvalidInput, NotFound, Unavailable
from orchestra.foundation.messaging import Bus
from orchestra.foundation.rpc import Context, current_actor
from orchestra.foundation.settings import Settings

SERVICE = "/ai_orchestra.v2.ModernAgentService/"
POLICIES: Mapping[str, Policy] = {
    SERVICE + "RegisterAgent": require(Permission.AGENTS_CONNECT),
    SERVICE + "StreamHeartbeat": require(Permission.AGENTS_CONNECT),
    SERVICE + "ListAgents": require(Permission.AGENTS_READ),
    SERVICE + "GetRealTimeMetrics": require(Permission.AGENTS_READ),
}
MAX_LISTED = 100_000
PAGE = 500
# Changes that wait for a slow reader: some ten thousand of usual agents.
WATCH_BYTES = 32 * 1024 * 1024
# The newest heartbeat of each agent is kept as it came; it has some hundred bytes.
MAX_BEAT_BYTES = 4 * 1024


class _Change(msgspec.Struct):
    type: str
    data: msgspec.Raw


class _Changed(msgspec.Struct):
    agent: Agent


class AgentRpcs:
    """The rpcs without tasks. `system_metrics` gives the newest numbers of the whole."""

    def __init__(
        self,
        *,
        database: Database,
        bus: Bus,
        settings: Settings,
        registry: Registry,
        system_metrics: Callable[[], Mapping[str, float]],
    ) -> None:
        self._database = database
        self._bus = bus
        self._settings = settings
        self._registry = registry
        self._forwarder = Forwarder(bus)
        self._room = Room(database, settings)
        self._system_metrics = system_metrics

    async def start(self) -> None:
        """Hears the heartbeats that other control planes got in its stead."""
        await self._bus.listen(events.BEATS_SUBJECT, self._on_beats)

    async def close(self) -> None:
        await self._forwarder.close()

    async def _on_beats(self, message: Msg) -> None:
        for beat in from_others(message):
            self._registry.beat(as_id(beat.agent_id), beat)

    async def RegisterAgent(  # noqa: N802 - the wire's name
        self, request: pb.RegisterAgentRequest, context: Context
    ) -> pb.RegisterAgentResponse:
        said = schemas.registration_from_wire(request)
        agent = await registration.register(self._database, current_actor(), said, room=self._room)
        return pb.RegisterAgentResponse(
            agent_id=str(agent.id),
            heartbeat_interval_seconds=self._registry.beat_seconds,
            lease_seconds=self._settings.lease_seconds,
            max_message_bytes=self._settings.max_grpc_message_bytes,
            model_base_url=f"{self._reached_at(current_actor())}/v1",
        )

    def _reached_at(self, actor: Actor) -> str:
        is_here = actor.ip in {"127.0.0.1", "::1"}
        return self._settings.local_url if is_here else self._settings.base_url

    async def StreamHeartbeat(  # noqa: N802 - the wire's name
        self, request: AsyncIterator[pb.HeartbeatMessage], context: Context
    ) -> AsyncIterator[pb.HeartbeatResponse]:
        actor = current_actor()
        named, agent_id = None, uuid.UUID(int=0)
        async for message in request:
            if message.ByteSize() > MAX_BEAT_BYTES:
                raise InvalidInput(f"A heartbeat has at most {MAX_BEAT_BYTES} bytes.")
            if message.agent_id != named:
                named, agent_id = message.agent_id, as_id(message.agent_id)
                await self._check_owned(actor, agent_id)
            if not self._registry.beat(agent_id, message):
                self._forwarder.send(message)
            yield pb.HeartbeatResponse(
                sequence=message.sequence,
                timestamp=timestamps.now(),
                interval_seconds=self._registry.beat_seconds,
            )

    async def _check_owned(self, actor: Actor, agent_id: uuid.UUID) -> None:
        """Raises AgentNotFound for one that is not the caller's; asks nobody about one here."""
        present = self._registry.get(agent_id)
        if present is not None:
            registration.check_owned(actor, present.written)
            return
        async with self._database.transaction() as tx:
            await registration.owned(tx, actor, agent_id)

    async def ListAgents(  # noqa: N802 - the wire's name
        self, request: pb.ListAgentsRequest, context: Context
    ) -> AsyncIterator[pb.Agent]:
        actor = current_actor()
        wanted = _Wanted(actor, request)
        # Listening begins before the list is read, so that no change falls in between.
        changes = await self._watch() if request.watch else None
        try:
            async for agent in self._all(wanted.filter):
                yield schemas.agent_to_wire(agent)
            while changes is not None:
                agent = await changes.get()
                if wanted.has(agent):
                    yield schemas.agent_to_wire(agent)
        finally:
            if changes is not None:
                await changes.close()

    async def GetRealTimeMetrics(  # noqa: N802 - the wire's name
        self, request: pb.MetricsRequest, context: Context
    ) -> AsyncIterator[pb.MetricsSnapshot]:
        interval = request.interval_seconds or 2.0
        if not 0.5 <= interval <= 60:
            raise InvalidInput("interval_seconds must be between 0.5 and 60.")
        wanted = {as_id(agent_id) for agent_id in request.agent_ids}
        seen = AgentFilter(viewer=registration.viewer_of(current_actor()), limit=PAGE)
        while True:
            agents = [
                pb.AgentMetrics(
                    agent_id=str(agent.id),
                    resources=schemas.resources_to_wire(agent.resources),
                    performance=schemas.performance_to_wire(agent.performance),
                )
                async for agent in self._all(seen)
                if not wanted or agent.id in wanted
            ]
            yield pb.MetricsSnapshot(
                timestamp=timestamps.now(), agents=agents, system=dict(self._system_metrics())
            )
            await asyncio.sleep(interval)

    async def _all(self, wanted: AgentFilter) -> AsyncIterator[Agent]:
        """Page by page, so that no transaction is open while the caller reads."""
        for _ in range(MAX_LISTED // PAGE):
            async with self._database.transaction() as tx:
                page = await registration.find(tx, wanted)
            for agent in page[: wanted.limit]:
                present = self._registry.get(agent.id)
                yield agent if present is None else present.view()
            if len(page) <= wanted.limit:
                return
            last = page[wanted.limit - 1]
            wanted = AgentFilter(
                viewer=wanted.viewer,
                statuses=wanted.statuses,
                capabilities=wanted.capabilities,
                after=(last.name, last.id),
                limit=PAGE,
            )

    async def _watch(self) -> "_Changes":
        changes = _Changes()
        changes.subscription = await self._bus.listen(events.ALL_AGENTS, changes.put)
        return changes


class _Changes:
    """Status changes as they come; a reader that is too slow is told by an end of the call."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[tuple[int, msgspec.Raw]] = asyncio.Queue()
        self._bytes = 0
        self._is_behind = False
        self.subscription: Any = None

    async def put(self, message: Msg) -> None:
        change = msgspec.json.decode(message.data, type=_Change)
        if change.type != "agent.status.changed" or self._is_behind:
            return
        self._bytes += len(message.data)
        self._is_behind = self._bytes > WATCH_BYTES
        self._waiting.put_nowait((len(message.data), change.data))

    async def get(self) -> Agent:
        """The next; raises Unavailable when some were dropped."""
        size, change = await self._waiting.get()
        if self._is_behind:
            raise Unavailable("You read too slowly to be told of every change; call again.")
        self._bytes -= size
        return msgspec.json.decode(change, type=_Changed, strict=False).agent

    async def close(self) -> None:
        await self.subscription.unsubscribe()


class _Wanted:
    """Which agents a call of ListAgents asks for."""

    def __init__(self, actor: Actor, request: pb.ListAgentsRequest) -> None:
        self._actor = actor
        self._statuses = {
            schemas.STATUS_FROM_WIRE[status]
            for status in request.statuses
            if status in schemas.STATUS_FROM_WIRE
        }
        self._capabilities = set(request.capabilities)

    @property
    def filter(self) -> AgentFilter:
        return AgentFilter(
            viewer=registration.viewer_of(self._actor),
            statuses=list(self._statuses) or None,
            capabilities=list(self._capabilities) or None,
            limit=PAGE,
        )

    def has(self, agent: Agent) -> bool:
        """Whether it could be asked for; a watcher is also told when one leaves the statuses."""
        fits = not self._capabilities or bool(self._capabilities & set(agent.capabilities))
        return fits and registration.may_see(self._actor, agent)


def as_id(text: str) -> uuid.UUID:
    """Raises NotFound for what cannot be an id."""
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise NotFound("There is no such agent.") from error

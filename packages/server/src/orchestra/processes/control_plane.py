"""`control-plane`: the gRPC door. It owns the streams of its agents, and gives them their tasks."""

import asyncio
import contextlib
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grpc.aio
import structlog
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from orchestra_protocol.agent_pb2_grpc import (
    ModernAgentServiceServicer,
    add_ModernAgentServiceServicer_to_server,
)
from prometheus_client import Gauge

from orchestra.features import agents, tasks
from orchestra.features.agents import Presence, Registry
from orchestra.features.agents.rpc import POLICIES as AGENT_POLICIES
from orchestra.features.agents.rpc import AgentRpcs
from orchestra.features.events import Feeds, Outbox
from orchestra.features.identity import Identity
from orchestra.features.tasks import Plane, Submitter, SystemMetrics, Upkeep
from orchestra.features.tasks.rpc import POLICIES as TASK_POLICIES
from orchestra.features.tasks.rpc import TaskRpcs
from orchestra.foundation import ids, rpc, telemetry
from orchestra.foundation.auth import PUBLIC
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.database import Database
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.messaging import Bus
from orchestra.foundation.rpc_calls import OpenCalls
from orchestra.foundation.settings import Settings, load
from orchestra.processes import connections, garbage, health, serving

log = structlog.get_logger(__name__)

HEALTH = "/grpc.health.v1.Health/"
POLICIES = {
    **AGENT_POLICIES,
    **TASK_POLICIES,
    HEALTH + "Check": PUBLIC,
    HEALTH + "Watch": PUBLIC,
    HEALTH + "List": PUBLIC,
}
CONNECTED = Gauge(
    "ai_orchestra_control_plane_agents",
    "Agents that are connected to this control plane, by its id",
    ("control_plane",),
)
FLUSH_SECONDS = 3.0
CUT_SECONDS = 1.0


def command(argv: list[str]) -> int:
    """Serve agents: their streams, their tasks, their health."""
    settings = load()
    telemetry.configure("control-plane", settings)
    for warning in settings.warnings:
        log.warning(warning)
    return serving.run(_main(settings))


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A composed control plane; nothing runs before `start`."""

    settings: Settings
    plane: Plane
    upkeep: Upkeep
    presence: Presence
    metrics: SystemMetrics
    feeds: Feeds
    outbox: Outbox
    submitter: Submitter
    identity: Identity
    agents: AgentRpcs
    tasks: TaskRpcs
    health: Any
    server: grpc.aio.Server
    guard: Guard = field(default_factory=Guard)

    def about(self) -> dict[str, Any]:
        """By which id agents name it, and how many it has."""
        return {"control_plane": self.plane.id, "agents": len(self.plane.registry)}

    async def start(self) -> str:
        """Begins to serve; returns the address, with the port that was free if it was 0."""
        bus = self.plane.bus
        await self.identity.watch(bus)
        await self.feeds.start()
        await self.metrics.start()
        await self.upkeep.start()
        await self.plane.dispatcher.start(self.plane.id)
        await self.presence.start()
        await self.agents.start()
        self.guard.spawn("presence", self.presence.run())
        self.guard.spawn("system-metrics", self.metrics.run())
        CONNECTED.labels(self.plane.id).set_function(lambda: len(self.plane.registry))
        address = _listen(self.server, self.settings.control_plane_listen)
        await self.server.start()
        await self.health.set("", health_pb2.HealthCheckResponse.SERVING)
        return address

    async def stop(self) -> None:
        """Moves the agents elsewhere, keeps what they have said, and gives no run away."""
        plane = self.plane
        plane.is_stopping = True
        plane.dispatcher.stop()
        await self.health.enter_graceful_shutdown()
        await plane.drain(seconds=self.settings.drain_seconds)
        await plane.keeper.flush(seconds=FLUSH_SECONDS)
        await self.feeds.close("restart", patience_seconds=0.5)
        await self.server.stop(CUT_SECONDS)
        await self.upkeep.close()
        await self.guard.stop()
        await self.presence.close()
        await plane.close()
        await self.tasks.close()
        await self.agents.close()
        await self.submitter.close()
        await self.outbox.close()
        with contextlib.suppress(KeyError):  # one that has not started
            CONNECTED.remove(self.plane.id)


def compose(settings: Settings, database: Database, bus: Bus) -> ControlPlane:
    """Joins the features."""

    async def is_current(task_id: uuid.UUID, epoch: int) -> bool:
        async with database.transaction() as tx:
            return await tasks.is_current_run(tx, task_id, epoch)

    identity = Identity(database, settings, is_current, check_agent_key=agents.key_check(database))
    outbox, registry = Outbox(bus, database), Registry(heartbeat_seconds=settings.heartbeat_seconds)
    feeds = Feeds(bus, settings, task_snapshots=tasks.snapshot_source(database))
    submitter, metrics = Submitter(database, bus, settings), SystemMetrics(database, bus)
    plane = Plane(
        ids.short_id(),
        database=database,
        bus=bus,
        outbox=outbox,
        settings=settings,
        registry=registry,
        issue_token=identity.issue_run_token,
    )
    task_rpcs = TaskRpcs(database=database, plane=plane, submitter=submitter, feeds=feeds)
    calls = OpenCalls()
    server = rpc.create_server(settings, authenticator=identity, policies=POLICIES, calls=calls)
    agent_rpcs = AgentRpcs(
        database=database,
        bus=bus,
        settings=settings,
        registry=registry,
        system_metrics=lambda: metrics.newest,
    )
    add_ModernAgentServiceServicer_to_server(_service(agent_rpcs, task_rpcs), server)
    health: Any = cast("Any", grpc_health).aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)  # pyright: ignore[reportUnknownMemberType]
    presence = Presence(registry, database, bus, control_plane_id=plane.id)
    return ControlPlane(
        settings=settings,
        plane=plane,
        upkeep=Upkeep(plane, calls),
        presence=presence,
        metrics=metrics,
        feeds=feeds,
        outbox=outbox,
        submitter=submitter,
        identity=identity,
        agents=agent_rpcs,
        tasks=task_rpcs,
        health=health,
        server=server,
    )


def _service(agent_rpcs: AgentRpcs, task_rpcs: TaskRpcs) -> ModernAgentServiceServicer:
    """All rpcs of the contract, each from the feature that has it."""
    rpcs = SimpleNamespace(
        RegisterAgent=agent_rpcs.RegisterAgent,
        StreamHeartbeat=agent_rpcs.StreamHeartbeat,
        ListAgents=agent_rpcs.ListAgents,
        GetRealTimeMetrics=agent_rpcs.GetRealTimeMetrics,
        AssignTask=task_rpcs.AssignTask,
        TaskBidirectionalStream=task_rpcs.TaskBidirectionalStream,
    )
    return cast("ModernAgentServiceServicer", rpcs)


async def _main(settings: Settings) -> int:
    stopping = serving.stop_signal()
    try:
        database, bus = await connections.connect(settings, name="control-plane")
    except OrchestraError as error:
        log.critical("the control plane cannot start", error=error.message)
        return 1
    control_plane = compose(settings, database, bus)
    state = health.Health(database, bus, about=control_plane.about)
    control_plane.guard.spawn("garbage", garbage.collect(control_plane.plane.registry))

    async def stop() -> None:
        state.is_draining = True
        await control_plane.stop()

    try:
        address = await control_plane.start()
        log.info("the control plane listens", address=address, id=control_plane.plane.id)
        await serving.serve(
            health.probes(state),
            settings.control_plane_probe_listen,
            stopping=stopping,
            before_stop=stop,
        )
    finally:
        await asyncio.gather(bus.close(), database.close(), return_exceptions=True)
    return 0


def _listen(server: grpc.aio.Server, listen: str) -> str:
    """Envoy or agents connect to `unix:<path>` or `<host>:<port>`; TLS is the gateway's."""
    if listen.startswith("unix:"):
        Path(listen.removeprefix("unix:")).unlink(missing_ok=True)
    port = server.add_insecure_port(listen)
    if listen.startswith("unix:"):
        return listen
    return f"{listen.rpartition(':')[0]}:{port}"

"""`api`: REST, feeds, `/v1` and the web applications, over HTTP behind the gateway."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from litestar import Litestar
from litestar.types import ControllerRouterHandler

import orchestra
from orchestra.features import blobs
from orchestra.features.agents import key_check
from orchestra.features.agents import rest as agents_rest
from orchestra.features.audit import rest as audit_rest
from orchestra.features.blobs import rest as blobs_rest
from orchestra.features.chat import Turns
from orchestra.features.chat import rest as chat_rest
from orchestra.features.events import Feeds, Outbox
from orchestra.features.events import rest as events_rest
from orchestra.features.identity import REVOKED, Identity
from orchestra.features.identity import rest as identity_rest
from orchestra.features.providers import Providers
from orchestra.features.providers import rest as providers_rest
from orchestra.features.schedules import rest as schedules_rest
from orchestra.features.tasks import Submitter, SystemMetrics, is_current_run, snapshot_source
from orchestra.features.tasks import rest as tasks_rest
from orchestra.features.workflows import rerun
from orchestra.features.workflows import rest as workflows_rest
from orchestra.foundation import telemetry, web
from orchestra.foundation.database import Database
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings, load
from orchestra.processes import connections, health, live, metrics, openapi, serving
from orchestra.processes.door import Door
from orchestra.processes.static import StaticSite, find_applications

log = structlog.get_logger(__name__)

ROUTES: Sequence[ControllerRouterHandler] = (
    *health.routes,
    *metrics.routes,
    openapi.route(),
    *identity_rest.routes,
    *audit_rest.routes,
    *events_rest.routes,
    *blobs_rest.routes,
    *providers_rest.routes,
    *agents_rest.routes,
    *tasks_rest.routes,
    *schedules_rest.routes,
    *workflows_rest.routes,
    *chat_rest.routes,
)


# What handlers take by name, beside the caller.
PARTS = (
    "database",
    "bus",
    "settings",
    "outbox",
    "feeds",
    "identity",
    "providers",
    "submitter",
    "turns",
    "health",
)


def command(argv: list[str]) -> int:
    """Serve the API and the web applications."""
    settings = load()
    telemetry.configure("api", settings)
    return serving.run(_main(settings))


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A composed api: the ASGI application, and what has to be started and ended with it."""

    application: Door
    framework: Litestar
    parts: dict[str, Any]
    feeds: Feeds
    outbox: Outbox
    identity: Identity
    providers: Providers
    submitter: Submitter
    metrics: SystemMetrics
    health: health.Health

    async def start(self, bus: Bus) -> None:
        await self.identity.watch(bus)
        await self.feeds.start(revoked_subject=REVOKED)
        await self.metrics.start()

    async def stop(self) -> None:
        """Takes the process out of the gateway, and ends the feeds."""
        self.health.is_draining = True
        await self.feeds.close("restart")
        await self.submitter.close()
        await self.outbox.close()
        await self.providers.close()


async def compose(settings: Settings, database: Database, bus: Bus) -> Api:
    """Joins the features; feeds do not run before `start`."""
    identity = Identity(
        database, settings, run_check(database), check_agent_key=key_check(database)
    )
    outbox = Outbox(bus, database)
    submitter = Submitter(database, bus, settings)
    submitter.rerun = rerun(outbox, bus, settings, submitter.room)
    providers = await Providers.open(database, settings)
    feeds = Feeds(
        bus,
        settings,
        authenticator=identity,
        task_snapshots=snapshot_source(database),
        live_snapshot=live.snapshot_source(database),
    )
    state = health.Health(database, bus, {"blobs": lambda: blobs.ping(settings)})
    parts: dict[str, Any] = {
        "database": database,
        "bus": bus,
        "settings": settings,
        "outbox": outbox,
        "feeds": feeds,
        "identity": identity,
        "providers": providers,
        "submitter": submitter,
        "turns": Turns(submitter, outbox, bus),
        "health": state,
    }
    framework = web.create_app(
        ROUTES,
        settings=settings,
        authenticator=identity,
        dependencies=parts,
    )
    site = StaticSite(find_applications(Path(orchestra.__file__).parent))
    door = Door(framework, site)
    return Api(
        application=door,
        framework=framework,
        parts=parts,
        feeds=feeds,
        outbox=outbox,
        identity=identity,
        providers=providers,
        submitter=submitter,
        metrics=SystemMetrics(database, bus),
        health=state,
    )


def describe() -> str:
    """The OpenAPI document as it is committed; nothing is started for it."""
    nobody: Any = None
    app = web.create_app(
        ROUTES, settings=Settings(), authenticator=nobody, dependencies=dict.fromkeys(PARTS)
    )
    return openapi.render(app)


def run_check(database: Database) -> Callable[[uuid.UUID, int], Awaitable[bool]]:
    """How identity asks whether a lease is the present one of its task."""

    async def check(task_id: uuid.UUID, epoch: int) -> bool:
        async with database.transaction() as tx:
            return await is_current_run(tx, task_id, epoch)

    return check


async def _main(settings: Settings) -> int:
    stopping = serving.stop_signal()
    try:
        database, bus = await connections.connect(settings, name="api")
    except OrchestraError as error:
        log.critical("the api cannot start", error=error.message)
        return 1
    api = await compose(settings, database, bus)
    await api.start(bus)
    log.info("the api listens", address=settings.api_listen)
    try:
        await serving.serve(
            api.application, settings.api_listen, stopping=stopping, before_stop=api.stop
        )
    finally:
        await asyncio.gather(bus.close(), database.close(), return_exceptions=True)
    return 0

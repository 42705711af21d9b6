"""Agents over REST: lists, one agent, what people decide about it, enrolment."""

import shlex
import uuid
from typing import Any

from litestar import delete, get, post
from litestar.connection import Request
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler

from orchestra.features.agents.repository import AgentFilter
from orchestra.features.agents.schemas import (
    DrainRequest,
    EnrolledView,
    EnrolmentRequest,
    EnrolmentView,
    EnrolRequest,
    QuarantineRequest,
)
from orchestra.features.agents.service import enrolment, registration, standing
from orchestra.features.agents.types import Agent, AgentStatus
from orchestra.foundation.auth import PUBLIC, Actor, Permission, require
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import FieldError, InvalidInput
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings
from orchestra.foundation.web import (
    Page,
    client_ip,
    decode_cursor,
    encode_cursor,
    page_limit,
    policy,
)

ActorArg = NamedDependency[Actor]
DatabaseArg = NamedDependency[Database]
BusArg = NamedDependency[Bus]
SettingsArg = NamedDependency[Settings]
DECIDE = policy(require(Permission.AGENTS_CONNECT))


@get("/api/agents", opt=policy(require(Permission.AGENTS_READ)), tags=["agents"])
async def list_agents(
    actor: ActorArg,
    database: DatabaseArg,
    status: FromQuery[list[AgentStatus] | None] = None,
    capability: FromQuery[list[str] | None] = None,
    name: FromQuery[str | None] = None,
    version: FromQuery[str | None] = None,
    label: FromQuery[list[str] | None] = None,
    limit: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Page[Agent]:
    """Your agents and the shared ones, by name; filters may be given repeatedly.

    A label is `name=value`; an agent has to have all that are given.
    """
    wanted = AgentFilter(
        viewer=registration.viewer_of(actor),
        statuses=status,
        capabilities=capability,
        name=name,
        version=version,
        labels=dict(_label(text) for text in label or ()),
        after=_after(cursor),
        limit=page_limit(limit),
    )
    async with database.transaction() as tx:
        found = await registration.find(tx, wanted)
        items = await registration.with_owners(tx, actor, found[: wanted.limit])
    more = encode_cursor(items[-1].name, str(items[-1].id)) if len(found) > len(items) else None
    return Page(items=items, next_cursor=more)


@get("/api/agents/{agent_id:uuid}", opt=policy(require(Permission.AGENTS_READ)), tags=["agents"])
async def get_agent(actor: ActorArg, database: DatabaseArg, agent_id: FromPath[uuid.UUID]) -> Agent:
    """One agent."""
    async with database.transaction() as tx:
        return await _named(tx, actor, await registration.visible(tx, actor, agent_id))


@delete(
    "/api/agents/{agent_id:uuid}", opt=policy(require(Permission.AGENTS_CONNECT)), tags=["agents"]
)
async def forget_agent(
    actor: ActorArg, database: DatabaseArg, bus: BusArg, agent_id: FromPath[uuid.UUID]
) -> None:
    """Forgets an agent that is not connected and revokes its keys."""
    async with database.transaction() as tx:
        await registration.forget(tx, bus, actor, agent_id)


@post("/api/agents/{agent_id:uuid}/drain", opt=DECIDE, status_code=200, tags=["agents"])
async def drain_agent(
    actor: ActorArg,
    database: DatabaseArg,
    bus: BusArg,
    agent_id: FromPath[uuid.UUID],
    data: JSONBody[DrainRequest],
) -> Agent:
    """The agent gets nothing new and finishes what it has, until it is resumed."""
    async with database.transaction() as tx:
        agent = await standing.drain(tx, bus, actor, agent_id, reason=data.reason)
        return await _named(tx, actor, agent)


@post("/api/agents/{agent_id:uuid}/resume", opt=DECIDE, status_code=200, tags=["agents"])
async def resume_agent(
    actor: ActorArg, database: DatabaseArg, bus: BusArg, agent_id: FromPath[uuid.UUID]
) -> Agent:
    """Ends a drain."""
    async with database.transaction() as tx:
        agent = await standing.resume(tx, bus, actor, agent_id)
        return await _named(tx, actor, agent)


@post("/api/agents/{agent_id:uuid}/quarantine", opt=DECIDE, status_code=200, tags=["agents"])
async def quarantine_agent(
    actor: ActorArg,
    database: DatabaseArg,
    bus: BusArg,
    agent_id: FromPath[uuid.UUID],
    data: JSONBody[QuarantineRequest],
) -> Agent:
    """The agent gets nothing; after the seconds, if given, one task at a time on trial."""
    async with database.transaction() as tx:
        agent = await standing.quarantine(
            tx, bus, actor, agent_id, reason=data.reason, seconds=data.seconds
        )
        return await _named(tx, actor, agent)


@post("/api/agents/{agent_id:uuid}/release", opt=DECIDE, status_code=200, tags=["agents"])
async def release_agent(
    actor: ActorArg, database: DatabaseArg, bus: BusArg, agent_id: FromPath[uuid.UUID]
) -> Agent:
    """Ends a quarantine at once and forgets the failures that led to it."""
    async with database.transaction() as tx:
        agent = await standing.release(tx, bus, actor, agent_id)
        return await _named(tx, actor, agent)


@post("/api/agents/{agent_id:uuid}/share", opt=DECIDE, status_code=200, tags=["agents"])
async def share_agent(
    actor: ActorArg, database: DatabaseArg, bus: BusArg, agent_id: FromPath[uuid.UUID]
) -> Agent:
    """The agent works for everybody from now on; only an administrator may decide that."""
    async with database.transaction() as tx:
        agent = await standing.share(tx, bus, actor, agent_id)
        return await _named(tx, actor, agent)


@post("/api/agents/{agent_id:uuid}/unshare", opt=DECIDE, status_code=200, tags=["agents"])
async def unshare_agent(
    actor: ActorArg, database: DatabaseArg, bus: BusArg, agent_id: FromPath[uuid.UUID]
) -> Agent:
    """The agent gets only its owner's tasks from now on."""
    async with database.transaction() as tx:
        agent = await standing.unshare(tx, bus, actor, agent_id)
        return await _named(tx, actor, agent)


@post("/api/agents/enrolments", opt=policy(require(Permission.AGENTS_CONNECT)), tags=["agents"])
async def create_enrolment(
    actor: ActorArg,
    database: DatabaseArg,
    settings: SettingsArg,
    data: JSONBody[EnrolmentRequest],
) -> EnrolmentView:
    """A token with which one agent can join as yours, once, within fifteen minutes."""
    async with database.transaction() as tx:
        token, expires_at = await enrolment.invite(tx, actor, data.name)
    # The command asks for the token, so that it does not end up in the shell's history.
    words = ["orchestra", "agent", "enroll", settings.base_url, "--name", data.name or "NAME"]
    return EnrolmentView(
        token=enrolment.with_pin(token, settings), expires_at=expires_at, command=shlex.join(words)
    )


@post("/api/agents/enrol", opt=policy(PUBLIC), status_code=200, tags=["agents"])
async def enrol(
    request: Request[Any, Any, Any],
    database: DatabaseArg,
    bus: BusArg,
    settings: SettingsArg,
    data: JSONBody[EnrolRequest],
) -> EnrolledView:
    """Exchanges a token for the agent's own key; who uses a former one has to show the new one."""
    async with database.transaction() as tx:
        key = await enrolment.enrol(
            tx, bus, settings, token=data.token, name=data.name, ip=client_ip(request)
        )
    return EnrolledView(
        agent_key=key, grpc_url=settings.base_url, model_base_url=f"{settings.base_url}/v1"
    )


async def _named(tx: Transaction, actor: Actor, agent: Agent) -> Agent:
    (shown,) = await registration.with_owners(tx, actor, [agent])
    return shown


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or "\0" in text:
        raise InvalidInput(
            "label: name=value", fields=[FieldError("label", "is not of the form name=value")]
        )
    return name, value


def _after(cursor: str | None) -> tuple[str, uuid.UUID] | None:
    if cursor is None:
        return None
    name, agent_id = decode_cursor(cursor, str, uuid.UUID)
    return name, agent_id


routes: list[ControllerRouterHandler] = [
    list_agents,
    get_agent,
    forget_agent,
    drain_agent,
    resume_agent,
    quarantine_agent,
    release_agent,
    share_agent,
    unshare_agent,
    create_enrolment,
    enrol,
]

"""An agent says what it can do; the same owner and name are the same agent for ever."""

import re
import uuid
from collections.abc import Sequence

import msgspec

from orchestra.features import audit
from orchestra.features.agents import repository
from orchestra.features.agents.errors import AgentConnected, AgentNotFound, KeyOfAnotherAgent
from orchestra.features.agents.repository import AgentFilter
from orchestra.features.agents.service.room import Room
from orchestra.features.agents.types import Agent, Registration
from orchestra.features.identity import REVOKED, revocation, user_names
from orchestra.foundation import ids
from orchestra.foundation.auth import Actor, ActorKind, Permission
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import FieldError, Forbidden, InvalidInput
from orchestra.foundation.messaging import Bus

CAPABILITY = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_NAME, MAX_VERSION, MAX_TEXT = 100, 100, 4_000
MAX_NAMED = 10
MAX_CAPABILITIES, MAX_LABELS, MAX_SLOTS = 100, 32, 1_000
# Lists and events show the whole of every agent.
MAX_DETAILS_BYTES = 256 * 1024
MAX_PROBE_SECONDS = 2_592_000.0  # thirty days


async def register(database: Database, actor: Actor, said: Registration, *, room: Room) -> Agent:
    """Writes down what an agent says of itself.

    An agent of an administrator serves everybody, another one only its owner, unless an
    administrator has decided otherwise: tasks carry what people say.

    Raises InvalidInput naming the fields, Forbidden, KeyOfAnotherAgent or TooManyAgents.
    """
    if not actor.may(Permission.AGENTS_CONNECT):
        raise Forbidden
    if actor.kind is ActorKind.AGENT and actor.name != said.name:
        raise KeyOfAnotherAgent(f"This key belongs to the agent {actor.name!r}.")
    if problems := _problems(said):
        text = "; ".join(f"{item.field}: {item.message}" for item in problems)
        raise InvalidInput(text, fields=problems)
    await room.take(actor.owner, said.name)
    return await repository.upsert(
        database, ids.new_id(), actor.owner, shared=actor.is_admin, said=said
    )


async def visible(tx: Transaction, actor: Actor, agent_id: uuid.UUID) -> Agent:
    """An agent that the actor may see; raises AgentNotFound."""
    agent = await repository.get(tx, agent_id)
    if agent is None or not may_see(actor, agent):
        raise AgentNotFound
    return agent


async def addressed(tx: Transaction, actor: Actor, agent_id: uuid.UUID, capability: str) -> str:
    """By which capability a task is for this agent; its only one need not be named.

    Raises AgentNotFound, or InvalidInput for what the agent cannot do: it would fail at it.
    """
    agent = await visible(tx, actor, agent_id)
    if capability in agent.capabilities:
        return capability
    if not capability and len(agent.capabilities) == 1:
        return agent.capabilities[0]
    if not agent.capabilities:
        said = f"{agent.name} has never connected, so nobody knows what it can do"
        raise InvalidInput(f"agent_id: {said}.", fields=[FieldError("agent_id", said)])
    said = f"{agent.name} can do {', '.join(agent.capabilities[:MAX_NAMED])}; name one of them"
    raise InvalidInput(f"capability: {said}.", fields=[FieldError("capability", said)])


async def owned(tx: Transaction, actor: Actor, agent_id: uuid.UUID) -> Agent:
    """An agent that the actor's credential may speak for; raises AgentNotFound."""
    return check_owned(actor, await repository.get(tx, agent_id))


def check_owned(actor: Actor, agent: Agent | None) -> Agent:
    """The same for an agent that has been read already."""
    if agent is None or agent.owner_id != actor.user_id:
        raise AgentNotFound
    if actor.kind is ActorKind.AGENT and actor.name != agent.name:
        raise KeyOfAnotherAgent(f"This key belongs to the agent {actor.name!r}.")
    return agent


async def managed(tx: Transaction, actor: Actor, agent_id: uuid.UUID) -> Agent:
    """An agent about which the actor may decide; raises AgentNotFound or Forbidden."""
    agent = await visible(tx, actor, agent_id)
    is_person = actor.kind not in (ActorKind.AGENT, ActorKind.RUN)
    is_theirs = agent.owner_id == actor.user_id or actor.may(Permission.AGENTS_MANAGE)
    if not (is_person and is_theirs):
        raise Forbidden("Only its owner or an administrator may decide about an agent.")
    return agent


async def forget(tx: Transaction, bus: Bus, actor: Actor, agent_id: uuid.UUID) -> None:
    """Forgets an agent that is not connected, and revokes its keys; else raises AgentConnected.

    One that is taken for offline may have a stream all the same: that ends with its key.
    """
    agent = await managed(tx, actor, agent_id)
    if not await repository.forget(tx, agent_id):
        raise AgentConnected
    await audit.record(
        tx,
        actor,
        "agent.forgotten",
        target_kind="agent",
        target_id=agent_id,
        details={"name": agent.name},
    )
    said = revocation(agent.owner_id, agent=agent.name)
    tx.after_commit(lambda: bus.announce(REVOKED, said))


def is_shown(name: str) -> bool:
    """People can read it and type it."""
    return name.isprintable() and name == name.strip()


def may_see(actor: Actor, agent: Agent) -> bool:
    return actor.is_admin or agent.shared or agent.owner_id == actor.user_id


def viewer_of(actor: Actor) -> uuid.UUID | None:
    """Whose eyes a list is for; None sees all."""
    return None if actor.is_admin else actor.owner


async def with_owners(tx: Transaction, actor: Actor, agents: Sequence[Agent]) -> list[Agent]:
    """The agents with their owners' names, as far as the actor may know them."""
    known = {agent.owner_id for agent in agents if actor.is_admin or agent.owner_id == actor.owner}
    names = await user_names(tx, list(known)) if known else {}
    replace = msgspec.structs.replace
    return [replace(agent, owner_name=names.get(agent.owner_id)) for agent in agents]


async def find(tx: Transaction, wanted: AgentFilter) -> list[Agent]:
    return await repository.find(tx, wanted)


def _problems(said: Registration) -> list[FieldError]:
    found: list[FieldError] = []
    if not 1 <= len(said.name) <= MAX_NAME or not is_shown(said.name):
        found.append(FieldError("name", f"1 to {MAX_NAME} printable characters, no outer blanks"))
    if not 1 <= said.slots <= MAX_SLOTS:
        found.append(FieldError("slots", f"between 1 and {MAX_SLOTS}"))
    if len(said.version) > MAX_VERSION or not (said.version or "-").isprintable():
        found.append(FieldError("version", f"at most {MAX_VERSION} printable characters"))
    return [*found, *_capability_problems(said), *_label_problems(said.labels)]


def _capability_problems(said: Registration) -> list[FieldError]:
    found: list[FieldError] = []
    if not 1 <= len(said.capabilities) <= MAX_CAPABILITIES:
        found.append(FieldError("capabilities", f"1 to {MAX_CAPABILITIES} names"))
    for place, name in enumerate(said.capabilities[:MAX_CAPABILITIES]):
        if not CAPABILITY.fullmatch(name) or _is_id(name):
            found.append(
                FieldError(f"capabilities[{place}]", "1 to 64 letters, digits, - and _, not an id")
            )
    return found + _detail_problems(said)


def _detail_problems(said: Registration) -> list[FieldError]:
    details = said.capability_details
    if len(details) > MAX_CAPABILITIES:
        return [FieldError("capability_details", f"at most {MAX_CAPABILITIES}")]
    found: list[FieldError] = []
    if len(msgspec.json.encode(details)) > MAX_DETAILS_BYTES:
        found.append(FieldError("capability_details", f"{MAX_DETAILS_BYTES} bytes of JSON in all"))
    names = [detail.name for detail in details]
    for place, detail in enumerate(details):
        field = f"capability_details[{place}]"
        if detail.name not in said.capabilities or detail.name in names[:place]:
            found.append(FieldError(f"{field}.name", "one of the capabilities, and each once"))
        if len(detail.description) > MAX_TEXT:
            found.append(FieldError(f"{field}.description", "too long"))
        if not 0 <= detail.probe_seconds <= MAX_PROBE_SECONDS:
            most = f"0 (never) to {MAX_PROBE_SECONDS:.0f}"
            found.append(FieldError(f"{field}.probe_seconds", most))
    return found


def _label_problems(labels: dict[str, str]) -> list[FieldError]:
    if len(labels) > MAX_LABELS:
        return [FieldError("labels", f"at most {MAX_LABELS}")]
    said = f"at most {MAX_NAME} printable characters"
    return [
        FieldError(f"labels.{key[:MAX_NAME]!r}", said)
        for key, value in labels.items()
        if max(len(key), len(value)) > MAX_NAME or not (key + value).isprintable()
    ]


def _is_id(name: str) -> bool:
    """An agent's id is the name of its own queue: no other agent may serve it."""
    try:
        uuid.UUID(name)
    except ValueError:
        return False
    return True

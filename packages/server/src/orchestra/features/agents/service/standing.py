"""What people decide about agents: drain and resume, quarantine and release, share and unshare.

The database keeps it, so that it holds across restarts of agents and control planes; the control
plane that has the agent hears of it at once.
"""

import uuid

import msgspec

from orchestra.features import audit
from orchestra.features.agents import events, repository
from orchestra.features.agents.service.registration import managed, visible
from orchestra.features.agents.types import AWAY, Agent, AgentStatus
from orchestra.foundation import clock
from orchestra.foundation.auth import Actor, Permission
from orchestra.foundation.database import Transaction
from orchestra.foundation.errors import FieldError, Forbidden, InvalidInput
from orchestra.foundation.messaging import Bus

MAX_REASON = 1_000
MAX_QUARANTINE_SECONDS = 30 * 86_400.0


async def drain(
    tx: Transaction, bus: Bus, actor: Actor, agent_id: uuid.UUID, *, reason: str
) -> Agent:
    """The agent gets nothing new, and finishes what it has; raises AgentNotFound or Forbidden."""
    _check_reason(reason)
    await managed(tx, actor, agent_id)
    await repository.drain(tx, agent_id, by=actor.name, reason=reason)
    return await _decided(tx, bus, actor, agent_id, "agent.drained", reason)


async def resume(tx: Transaction, bus: Bus, actor: Actor, agent_id: uuid.UUID) -> Agent:
    """The agent gets tasks again; nothing happens to one that was not drained."""
    agent = await managed(tx, actor, agent_id)
    if not await repository.resume(tx, agent_id):
        return agent
    return await _decided(tx, bus, actor, agent_id, "agent.resumed", "")


async def quarantine(
    tx: Transaction,
    bus: Bus,
    actor: Actor,
    agent_id: uuid.UUID,
    *,
    reason: str,
    seconds: float | None,
) -> Agent:
    """The agent gets nothing, for so long or until it is released; then one task on trial."""
    _check_reason(reason, is_needed=True)
    if seconds is not None and not 1 <= seconds <= MAX_QUARANTINE_SECONDS:
        message = f"1 to {MAX_QUARANTINE_SECONDS:g}"
        raise InvalidInput(f"seconds: {message}", fields=[FieldError("seconds", message)])
    await managed(tx, actor, agent_id)
    await repository.quarantine(
        tx, agent_id, by=actor.name, reason=reason, seconds=seconds, round=1
    )
    return await _decided(tx, bus, actor, agent_id, "agent.quarantined", reason)


async def release(tx: Transaction, bus: Bus, actor: Actor, agent_id: uuid.UUID) -> Agent:
    """Ends a quarantine at once, without a trial; nothing happens to one that is in none."""
    agent = await managed(tx, actor, agent_id)
    if not await repository.release(tx, agent_id):
        return agent
    return await _decided(tx, bus, actor, agent_id, "agent.released", "")


async def share(tx: Transaction, bus: Bus, actor: Actor, agent_id: uuid.UUID) -> Agent:
    """The agent works for everybody, also after it has registered again.

    Only an administrator may vouch for it like this: tasks carry what people say.
    """
    await managed(tx, actor, agent_id)
    if not actor.may(Permission.AGENTS_MANAGE):
        raise Forbidden("Only an administrator may share an agent with everybody.")
    await repository.share(tx, agent_id, shared=True)
    return await _decided(tx, bus, actor, agent_id, "agent.shared", "")


async def unshare(tx: Transaction, bus: Bus, actor: Actor, agent_id: uuid.UUID) -> Agent:
    """The agent gets only its owner's tasks, and finishes what it has of others."""
    await managed(tx, actor, agent_id)
    await repository.share(tx, agent_id, shared=False)
    return await _decided(tx, bus, actor, agent_id, "agent.unshared", "")


async def _decided(
    tx: Transaction, bus: Bus, actor: Actor, agent_id: uuid.UUID, action: str, reason: str
) -> Agent:
    agent = await visible(tx, actor, agent_id)
    details = {"name": agent.name, **({"reason": reason} if reason else {})}
    await audit.record(tx, actor, action, target_kind="agent", target_id=agent_id, details=details)
    tx.after_commit(lambda: events.tell_standing(bus, agent_id))
    status, why = _shown(agent)
    return msgspec.structs.replace(agent, status=status, reason=why)


def _shown(agent: Agent) -> tuple[AgentStatus, str]:
    """What its control plane will write in a moment, when it has heard of it."""
    if agent.status in AWAY or agent.status is AgentStatus.UNHEALTHY:
        return agent.status, agent.reason
    if agent.quarantine is not None:
        return AgentStatus.QUARANTINED, agent.quarantine.sentence(clock.now())
    if agent.drain is not None:
        return AgentStatus.DRAINING, agent.drain.sentence
    is_busy = agent.slots_in_use >= agent.slots
    return AgentStatus.BUSY if is_busy else AgentStatus.ONLINE, ""


def _check_reason(reason: str, *, is_needed: bool = False) -> None:
    if len(reason) > MAX_REASON or (is_needed and not reason.strip()):
        message = f"{'1' if is_needed else '0'} to {MAX_REASON} characters"
        raise InvalidInput(f"reason: {message}", fields=[FieldError("reason", message)])

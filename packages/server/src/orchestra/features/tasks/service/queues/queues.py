"""Queues as people see and change them: settings, pauses, weights."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from orchestra.features import agents, audit
from orchestra.features.tasks.errors import QueueNotFound
from orchestra.features.tasks.repository import queues as repository
from orchestra.features.tasks.repository.queues import Queue, QueueCounts
from orchestra.features.tasks.service.announcing import wake
from orchestra.features.tasks.service.submitting.validation import is_capability
from orchestra.features.tasks.types import QueueName
from orchestra.foundation import clock
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import NotFound
from orchestra.foundation.messaging import Bus

log = structlog.get_logger(__name__)

# A claim is one statement, or a few under limits.
SETTLE_SECONDS = 5.0
SETTLE_STEP_SECONDS = 0.005
NO_USER = "There is no such user."


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue with what is in it."""

    queue: Queue
    counts: QueueCounts


async def find(tx: Transaction, actor: Actor, *, after: str | None, limit: int) -> list[QueueState]:
    """One page by name, and one more if there is one."""
    viewer = None if actor.is_admin else actor.owner
    return await _with_counts(
        tx, await repository.names(tx, viewer=viewer, after=after, limit=limit)
    )


async def get(tx: Transaction, actor: Actor, name: str) -> QueueState:
    """Raises QueueNotFound for what no task could wait in, or for a foreign agent's queue."""
    return (await _with_counts(tx, [await check_name(tx, actor, name)]))[0]


async def change(
    tx: Transaction, actor: Actor, name: str, settings: Mapping[str, Any]
) -> QueueState:
    queue = await check_name(tx, actor, name)
    await repository.change(tx, queue, settings)
    state = (await _with_counts(tx, [queue]))[0]
    await _audit(tx, actor, "queue.changed", queue, settings)
    return state


async def pause(database: Database, actor: Actor, name: str) -> QueueState:
    """From its return on nothing is claimed from the queue; what runs goes on."""
    async with database.transaction() as tx:
        queue = await check_name(tx, actor, name)
        mark = await repository.mark(tx)
        if await repository.pause(tx, queue, by=actor.name):
            await _audit(tx, actor, "queue.paused", queue)
    await settle(database, mark)
    async with database.transaction() as tx:
        return (await _with_counts(tx, [queue]))[0]


async def resume(tx: Transaction, bus: Bus, actor: Actor, name: str) -> QueueState:
    queue = await check_name(tx, actor, name)
    if await repository.resume(tx, queue):
        tx.after_commit(lambda: wake(bus, [queue]))
        state = (await _with_counts(tx, [queue]))[0]
        await _audit(tx, actor, "queue.resumed", queue)
        return state
    return (await _with_counts(tx, [queue]))[0]


async def weight(tx: Transaction, user_id: uuid.UUID) -> float:
    """How many tasks of this user start for one of a user of weight 1. Raises NotFound."""
    found = await repository.weight(tx, user_id)
    if found is None:
        raise NotFound(NO_USER)
    return found


async def set_weight(tx: Transaction, actor: Actor, user_id: uuid.UUID, weight: float) -> None:
    """It holds for tasks that are submitted from now on. Raises NotFound."""
    if not await repository.set_weight(tx, user_id, weight):
        raise NotFound(NO_USER)
    await audit.record(
        tx,
        actor,
        "user.weight_set",
        target_kind="user",
        target_id=user_id,
        details={"weight": weight},
    )


async def settle(database: Database, mark: str) -> None:
    """Waits for the claims that began before the transaction `mark` was committed."""
    limit = clock.monotonic() + SETTLE_SECONDS
    while await repository.has_older(database, mark):
        if clock.monotonic() > limit:
            log.warning("an old transaction is still open; a claim may come from before")
            return
        await asyncio.sleep(SETTLE_STEP_SECONDS)


async def check_name(tx: Transaction, actor: Actor, name: str) -> QueueName:
    """Raises QueueNotFound unless it is a capability, or an agent that the actor may see."""
    if is_capability(name):
        return QueueName(name)
    try:
        agent = await agents.visible(tx, actor, uuid.UUID(name))
    except (ValueError, NotFound) as error:
        raise QueueNotFound from error
    return QueueName(str(agent.id))


async def _with_counts(tx: Transaction, names: Sequence[QueueName]) -> list[QueueState]:
    found = await repository.get_all(tx, names)
    counts = await repository.counts(tx, names)
    return [QueueState(found[name], counts[name]) for name in names]


async def _audit(
    tx: Transaction,
    actor: Actor,
    action: str,
    name: QueueName,
    details: Mapping[str, Any] | None = None,
) -> None:
    await audit.record(
        tx, actor, action, target_kind="queue", target_id=name, details=details or {}
    )

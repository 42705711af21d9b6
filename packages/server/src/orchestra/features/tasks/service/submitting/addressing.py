"""Tasks for one agent: by which of its capabilities they are for it."""

from collections.abc import Sequence
from dataclasses import replace

from orchestra.features import agents
from orchestra.features.tasks.repository import submitting
from orchestra.features.tasks.types import NewTask
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Database, Transaction


async def addressed(database: Database, actor: Actor, new: Sequence[NewTask]) -> list[NewTask]:
    """Names the capability where there is only one; raises AgentNotFound or InvalidInput.

    The agent has to be one that the actor may see, and that can do it. A task that was taken in
    before under its idempotency key is as it was then, whatever has become of the agent since.
    """
    if all(item.agent_id is None for item in new):
        return list(new)
    async with database.transaction() as tx:
        earlier = await _earlier(tx, actor, new)
        return [await _addressed(tx, actor, item, earlier) for item in new]


async def _earlier(tx: Transaction, actor: Actor, new: Sequence[NewTask]) -> dict[str, str]:
    """The capabilities of tasks for an agent that are there already, by their keys."""
    keys = [
        (actor.owner, item.idempotency_key)
        for item in new
        if item.agent_id is not None and item.idempotency_key
    ]
    found = await submitting.by_idempotency_key(tx, keys) if keys else {}
    return {key: task.capability for (_, key), (task, _) in found.items()}


async def _addressed(
    tx: Transaction, actor: Actor, item: NewTask, earlier: dict[str, str]
) -> NewTask:
    if item.agent_id is None:
        return item
    known = earlier.get(item.idempotency_key or "")
    if known is not None:
        return replace(item, capability=item.capability or known)
    by = await agents.addressed(tx, actor, item.agent_id, item.capability)
    return replace(item, capability=by)

"""Agents that come back with runs that were given up meanwhile: they were away, not dead.

A task is poison when it costs agents their lives. Whether an agent that is silent is dead, nobody
can know, so it counts; but a process that still has the run has survived it, and counts no more.
"""

import uuid
from collections.abc import Sequence

import structlog
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.tasks.repository import attempts
from orchestra.features.tasks.repository.leases import Held
from orchestra.features.tasks.types import TaskId
from orchestra.foundation.database import Database

log = structlog.get_logger(__name__)

AGENT_AWAY = "agent_away"
# What an agent has held longer ago than so many runs is of no use to anybody.
MOST = 2_000


async def forgive(
    database: Database, agent_id: uuid.UUID, running: Sequence[pb.RunningTask], held: Sequence[Held]
) -> None:
    """Takes back the losses of runs that the agent has and the database has given up.

    Nearly always there are none, and this costs nothing.
    """
    ours = {(item.task_id, item.epoch) for item in held}
    claimed = [lease for item in running[:MOST] if (lease := _lease(item)) is not None]
    given_up = [lease for lease in claimed if lease not in ours]
    if not given_up:
        return
    async with database.transaction() as tx:
        forgiven = await attempts.forgive(tx, agent_id, given_up, code=AGENT_AWAY)
    if forgiven:
        log.info("an agent was away, not dead", agent_id=str(agent_id), runs=forgiven)


def _lease(item: pb.RunningTask) -> tuple[TaskId, int] | None:
    try:
        return TaskId(uuid.UUID(item.task_id)), item.epoch
    except ValueError:
        return None

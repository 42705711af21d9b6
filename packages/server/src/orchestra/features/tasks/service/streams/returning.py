"""Agents that come back with runs that were given up meanwhile: they were away, not dead.

A task is poison when it costs agents their lives. Whether an agent that is silent is dead, nobody
can know, so it counts; but a process that still has the run has survived it, and counts no more.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A run that an agent has and the database has given up. It may not have begun there."""

    task_id: TaskId
    epoch: int
    has_begun: bool


def given_up(running: Sequence[pb.RunningTask], held: Sequence[Held]) -> list[GivenUp]:
    """Of what an agent says that it has; nearly always nothing."""
    ours = {(item.task_id, item.epoch) for item in held}
    claimed = [run for item in running[:MOST] if (run := _run(item)) is not None]
    return [run for run in claimed if (run.task_id, run.epoch) not in ours]


async def forgive(database: Database, agent_id: uuid.UUID, runs: Sequence[GivenUp]) -> None:
    """Takes back the losses of runs that their agent still has."""
    if not runs:
        return
    leases = [(run.task_id, run.epoch) for run in runs]
    async with database.transaction() as tx:
        forgiven = await attempts.forgive(tx, agent_id, leases, code=AGENT_AWAY)
    if forgiven:
        log.info("an agent was away, not dead", agent_id=str(agent_id), runs=forgiven)


def _run(item: pb.RunningTask) -> GivenUp | None:
    try:
        return GivenUp(TaskId(uuid.UUID(item.task_id)), item.epoch, not item.waiting)
    except ValueError:
        return None

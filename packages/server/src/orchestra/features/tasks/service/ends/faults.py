"""Tells who looks after agents of runs that ended by their agent's own fault.

In the transaction that ends the runs; a batch in which nothing failed costs nothing.
"""

from collections.abc import Sequence

from orchestra.features import agents
from orchestra.features.agents import FAULTS, Fault, QuarantinePolicy
from orchestra.features.tasks.repository import attempts
from orchestra.features.tasks.service.ends.ending import Ended, Ending
from orchestra.foundation.database import Transaction
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings


async def note(
    tx: Transaction,
    bus: Bus,
    endings: Sequence[Ending],
    outcomes: Sequence[Ended | Exception],
    *,
    settings: Settings,
) -> None:
    """Counts what the agents of these runs have failed at."""
    failed = [
        ending
        for ending, outcome in zip(endings, outcomes, strict=True)
        if isinstance(outcome, Ended) and ending.problem and ending.problem.code in FAULTS
    ]
    if not failed:
        return
    concerned = await attempts.concerned(tx, [(item.task_id, item.epoch) for item in failed])
    faults = [
        Fault(
            agent_id=concerned[item.task_id][0],
            about=item.task_id,
            code=item.problem.code,
            message=item.problem.message,
            asked_by=concerned[item.task_id][1],
        )
        for item in failed
        if item.problem and item.task_id in concerned
    ]
    await agents.note_faults(tx, bus, faults, policy_of(settings))


def policy_of(settings: Settings) -> QuarantinePolicy:
    return QuarantinePolicy(
        failures=settings.quarantine_failures,
        first_seconds=settings.quarantine_seconds,
        longest_seconds=settings.max_quarantine_seconds,
    )

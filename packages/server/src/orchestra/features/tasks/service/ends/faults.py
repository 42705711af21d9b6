"""Tells who looks after agents of runs that ended by their agent's own fault.

In the transaction that ends the runs; a batch in which nothing failed costs nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from orchestra.features import agents
from orchestra.features.agents import FAULTS, LOST, Fault, QuarantinePolicy
from orchestra.features.tasks.repository import attempts
from orchestra.features.tasks.repository.attempts import Concerned
from orchestra.features.tasks.service.ends.ending import Ended, Ending
from orchestra.features.tasks.types import TaskProblem
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
            agent_id=known.agent_id,
            about=item.task_id,
            code=item.problem.code,
            message=item.problem.message,
            asked_by=frozenset({known.user_id}),
        )
        for item in failed
        if item.problem
        and (known := concerned.get(item.task_id))
        and not _is_misdirected(item.problem, known)
    ]
    faults = await _of_all_who_were_there(tx, faults)
    await agents.note_faults(tx, bus, faults, policy_of(settings))


async def _of_all_who_were_there(tx: Transaction, faults: Sequence[Fault]) -> list[Fault]:
    """Losses can be the doing of anybody whose task the agent had, whichever ends first."""
    lost = {fault.agent_id for fault in faults if fault.code == LOST}
    if not lost:
        return list(faults)
    there = await attempts.users_at(tx, sorted(lost))
    for fault in faults:
        if fault.code == LOST:
            there[fault.agent_id] = there.get(fault.agent_id, frozenset()) | fault.asked_by
    return [
        replace(fault, asked_by=there[fault.agent_id]) if fault.code == LOST else fault
        for fault in faults
    ]


def _is_misdirected(problem: TaskProblem, known: Concerned) -> bool:
    """It names this agent by its id, and what that cannot do: it was sent to the wrong place."""
    return known.is_addressed and problem.code == "unknown_capability"


def policy_of(settings: Settings) -> QuarantinePolicy:
    return QuarantinePolicy(
        failures=settings.quarantine_failures,
        first_seconds=settings.quarantine_seconds,
        longest_seconds=settings.max_quarantine_seconds,
    )

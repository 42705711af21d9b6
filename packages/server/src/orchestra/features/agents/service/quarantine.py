"""Agents that fail again and again get nothing for a while, then one task to show that they work.

What counts is a failure that is the agent's own: that it was lost, stopped, broke, or does not know
its own capability. One task counts once, however often it fails: it may be the task's fault. So may
everything be that somebody has asked for who does not own the agent: while one such person can have
brought all of it about, nothing follows, and no such person's task decides a trial. Of what is lost
nobody knows which task it was that killed the process: it can be any of those that the agent had.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.features import audit
from orchestra.features.agents import events, repository
from orchestra.features.agents.repository import Suspect
from orchestra.foundation.auth import SYSTEM
from orchestra.foundation.database import Transaction
from orchestra.foundation.messaging import Bus

BY = "the system"
# What is lost within so many seconds was lost by one and the same event.
EVENT_SECONDS = 30
LOST = "agent_lost"
# What befalls all tasks of an agent at once.
EVENTS = frozenset({LOST, "agent_stopped"})
FAULTS = EVENTS | {"unknown_capability", "handler_error"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """After how many failures in a row (0: never), and for how long at first and at most."""

    failures: int = 5
    first_seconds: float = 30.0
    longest_seconds: float = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An agent has failed at something: at a task, or a probe.

    `asked_by` are those whose doing it can be: who has asked for the task; of a loss, all who had
    tasks there; of a probe, nobody.
    """

    agent_id: uuid.UUID
    about: uuid.UUID
    code: str
    message: str
    asked_by: frozenset[uuid.UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Sentence:
    """What follows from faults: `alone` are people each of whom can have done all of it."""

    blamed: tuple[uuid.UUID, ...]
    alone: frozenset[uuid.UUID] = frozenset()
    seconds: float | None = None  # of the quarantine that begins
    round: int = 0
    reason: str = ""


async def note_faults(
    tx: Transaction, bus: Bus, faults: Sequence[Fault], policy: Policy
) -> list[uuid.UUID]:
    """Counts the faults; returns the agents whose quarantine begins by that."""
    begun: list[tuple[Suspect, Sentence]] = []
    for suspect in await repository.suspects(tx, list({fault.agent_id for fault in faults})):
        sentence = judge(
            suspect, [fault for fault in faults if fault.agent_id == suspect.id], policy
        )
        if (sentence.blamed, sentence.alone) != (suspect.blamed, suspect.alone):
            await repository.blame(tx, suspect.id, sentence.blamed, alone=sentence.alone)
        if sentence.seconds is not None:
            await _begin(tx, suspect, sentence)
            begun.append((suspect, sentence))
        elif not suspect.blamed:
            _tell(tx, bus, suspect.id)  # its next success is news
    for suspect, sentence in begun:
        await _record(tx, suspect, sentence)
        _tell(tx, bus, suspect.id)
    return [suspect.id for suspect, _ in begun]


async def note_well(tx: Transaction, bus: Bus, ids: Sequence[uuid.UUID]) -> None:
    """Agents that were blamed or on trial have done something well."""
    passed = await repository.did_well(tx, ids)
    for agent_id in passed:
        await audit.record(
            tx, SYSTEM, "agent.trial_passed", target_kind="agent", target_id=agent_id
        )
    for agent_id in ids:
        _tell(tx, bus, agent_id)


def judge(suspect: Suspect, faults: Sequence[Fault], policy: Policy) -> Sentence:
    """Decides by what it has failed at so far, and what its latest quarantines were."""
    present = suspect.quarantine
    is_on_trial = present is not None and present.is_on_trial(suspect.now)
    if is_on_trial or policy.failures == 1:  # one more is enough
        faults = [fault for fault in faults if not _others(fault, suspect)]
    if not faults or policy.failures == 0 or (present is not None and not is_on_trial):
        return Sentence(suspect.blamed, suspect.alone)
    blamed, alone = _counted(suspect, faults)
    if not is_on_trial and len(blamed) < policy.failures:
        return Sentence(blamed, alone)
    if not is_on_trial and alone:
        return Sentence(blamed[-(policy.failures - 1) :], alone)
    number = _round(suspect, policy)
    seconds = min(policy.longest_seconds, policy.first_seconds * 2.0 ** min(number - 1, 30))
    last = faults[-1]
    failed = "its trial failed" if is_on_trial else f"{len(blamed)} failures in a row"
    reason = f"{failed}; the last was {last.code}: {last.message}"[:1_000]
    return Sentence(blamed[-policy.failures :], frozenset(), seconds, number, reason)


def _round(suspect: Suspect, policy: Policy) -> int:
    """After a quiet time as long as the longest quarantine, counting begins anew."""
    if suspect.quarantine is not None:
        return suspect.round + 1
    if suspect.ended_at is None:
        return 1
    quiet = (suspect.now - suspect.ended_at).total_seconds()
    return 1 if quiet > policy.longest_seconds else suspect.round + 1


def _counted(
    suspect: Suspect, faults: Sequence[Fault]
) -> tuple[tuple[uuid.UUID, ...], frozenset[uuid.UUID]]:
    """All failures with these, each once, and who can have brought all of them about alone."""
    blamed, alone = list(suspect.blamed), suspect.alone
    for fault in faults:
        key = _event(blamed, suspect) if fault.code in EVENTS else fault.about
        if key not in blamed:
            others = _others(fault, suspect)
            alone = alone & others if blamed else others
            blamed.append(key)
    return tuple(blamed), alone


def _others(fault: Fault, suspect: Suspect) -> frozenset[uuid.UUID]:
    """Whose doing it can be, but for the agent's owner."""
    return fault.asked_by - {suspect.owner_id}


def _event(blamed: Sequence[uuid.UUID], suspect: Suspect) -> uuid.UUID:
    """What it counts as, by its second: as the one before it, where they are one event."""
    now = int(suspect.now.timestamp())
    recent = (key for key in blamed if 0 <= now - key.int < EVENT_SECONDS)
    return next(recent, uuid.UUID(int=now))


async def _begin(tx: Transaction, suspect: Suspect, sentence: Sentence) -> None:
    await repository.quarantine(
        tx,
        suspect.id,
        by=BY,
        reason=sentence.reason,
        seconds=sentence.seconds,
        round=sentence.round,
    )


async def _record(tx: Transaction, suspect: Suspect, sentence: Sentence) -> None:
    await audit.record(
        tx,
        SYSTEM,
        "agent.quarantined",
        target_kind="agent",
        target_id=suspect.id,
        details={
            "name": suspect.name,
            "reason": sentence.reason,
            "seconds": sentence.seconds,
            "round": sentence.round,
        },
    )


def _tell(tx: Transaction, bus: Bus, agent_id: uuid.UUID) -> None:
    tx.after_commit(lambda: events.tell_standing(bus, agent_id))

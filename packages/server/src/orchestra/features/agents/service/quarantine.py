"""Agents that fail again and again get nothing for a while, then one task to show that they work.

What counts is a failure that is the agent's own: that it was lost, stopped, broke, or does not know
its own capability. One task counts once, however often it fails: it may be the task's fault. So may
everything be that somebody has asked for who does not own the agent: no such person's tasks are
enough alone, nor do they decide a trial.
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
LOSS_SECONDS = 30
FAULTS = frozenset({"agent_lost", "agent_stopped", "unknown_capability", "handler_error"})
# What a task can bring about by what it asks for.
ASKED_FOR = frozenset({"unknown_capability", "handler_error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """After how many failures in a row (0: never), and for how long at first and at most."""

    failures: int = 5
    first_seconds: float = 30.0
    longest_seconds: float = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An agent has failed at something: at a task, which somebody has asked for, or a probe."""

    agent_id: uuid.UUID
    about: uuid.UUID
    code: str
    message: str
    asked_by: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """What follows from faults."""

    blamed: tuple[uuid.UUID, ...]
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
        if sentence.blamed != suspect.blamed:
            await repository.blame(tx, suspect.id, sentence.blamed)
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
        faults = [fault for fault in faults if not _is_anothers(fault, suspect)]
    if not faults or policy.failures == 0 or (present is not None and not is_on_trial):
        return Sentence(suspect.blamed)
    keys = [_key(fault, suspect, policy) for fault in faults]
    blamed = tuple(dict.fromkeys([*suspect.blamed, *keys]))
    if not is_on_trial and len(blamed) < policy.failures:
        return Sentence(blamed)
    number = _round(suspect, policy)
    seconds = min(policy.longest_seconds, policy.first_seconds * 2.0 ** min(number - 1, 30))
    last = faults[-1]
    failed = "its trial failed" if is_on_trial else f"{len(blamed)} failures in a row"
    reason = f"{failed}; the last was {last.code}: {last.message}"[:1_000]
    return Sentence(blamed[-policy.failures :], seconds, number, reason)


def _round(suspect: Suspect, policy: Policy) -> int:
    """After a quiet time as long as the longest quarantine, counting begins anew."""
    if suspect.quarantine is not None:
        return suspect.round + 1
    if suspect.ended_at is None:
        return 1
    quiet = (suspect.now - suspect.ended_at).total_seconds()
    return 1 if quiet > policy.longest_seconds else suspect.round + 1


def _is_anothers(fault: Fault, suspect: Suspect) -> bool:
    return fault.code in ASKED_FOR and fault.asked_by not in (None, suspect.owner_id)


def _key(fault: Fault, suspect: Suspect, policy: Policy) -> uuid.UUID:
    """What counts as one failure."""
    if fault.code == "agent_lost":
        return uuid.UUID(int=int(suspect.now.timestamp()) // LOSS_SECONDS)
    if fault.asked_by is None or not _is_anothers(fault, suspect):
        return fault.about
    place = fault.about.int % max(1, policy.failures - 1)
    return uuid.uuid5(fault.asked_by, str(place))


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

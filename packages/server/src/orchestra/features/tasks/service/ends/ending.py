"""Ends runs: many in one transaction, each under its epoch, decided by the transition table."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from orchestra.features import audit
from orchestra.features.events import Outbox, TaskEvent
from orchestra.features.tasks import events
from orchestra.features.tasks.errors import NotAllowed, StaleEpoch, TaskNotFound
from orchestra.features.tasks.events import Subject
from orchestra.features.tasks.repository import ending as repository
from orchestra.features.tasks.repository import fairness, families, late
from orchestra.features.tasks.repository.ending import RETURNED, SUSPENDED, Change, Locked
from orchestra.features.tasks.service import references, retrying
from orchestra.features.tasks.service.announcing import tell, tell_of_waiting
from orchestra.features.tasks.service.ends import poison
from orchestra.features.tasks.service.lifecycle import step
from orchestra.features.tasks.types import (
    HELD,
    TRANSITIONS,
    Life,
    TaskId,
    TaskProblem,
    TaskState,
    Trigger,
)
from orchestra.foundation.auth import SYSTEM, Actor
from orchestra.foundation.database import Transaction
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.messaging import Bus, Message

# How often a task may lose its agent if nobody says otherwise.
POISON_ATTEMPTS = 3
# A run that the server ended for these has failed by itself.
TIME_OUTS = frozenset({"run_timeout", "progress_timeout"})


@dataclass(frozen=True, slots=True)
class Claimed:
    """The task as it was when this control plane claimed it."""

    subject: Subject
    life: Life


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What ends a run or a wait. `sequence` is that of the agent's last event."""

    task_id: TaskId
    epoch: int
    trigger: Trigger
    by: Actor = SYSTEM
    agent_id: uuid.UUID | None = None  # the agent that says so, whose lease it has to be
    sequence: int = 0
    result_json: bytes | None = None
    usage: dict[str, Any] | None = None
    problem: TaskProblem | None = None
    verdict: TaskProblem | None = None  # of the task, where it is not the problem of its last run
    reason: str = ""
    text: str | None = None  # what the run has said; None: as last saved
    before: tuple[TaskEvent, ...] = ()  # said before the end and not yet told to readers
    claimed: Claimed | None = None

    @property
    def by_agent(self) -> bool:
        return self.agent_id is not None


def lost(task_id: TaskId, epoch: int, reason: str, *, code: str = "agent_lost") -> Ending:
    """The server takes a lease back; the task goes on elsewhere if it has attempts left."""
    return Ending(
        task_id=task_id,
        epoch=epoch,
        trigger=Trigger.RETRY,
        problem=TaskProblem(code, reason),
        reason=reason,
    )


def returned(task_id: TaskId, epoch: int, reason: str) -> Ending:
    """The server takes back what the agent has not begun: no attempt is used up."""
    return Ending(task_id=task_id, epoch=epoch, trigger=Trigger.RETURN, reason=reason)


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of it."""

    life: Life
    seconds_to_wait: float


@dataclass(frozen=True, slots=True)
class _Decided:
    ending: Ending
    task: Locked
    life: Life
    delay: float

    @property
    def is_ready(self) -> bool:
        """Whether it may run again at once."""
        return self.life.state is TaskState.QUEUED and not self.delay


async def end_all(
    tx: Transaction,
    outbox: Outbox,
    bus: Bus,
    endings: Sequence[Ending],
    *,
    poison_attempts: int = POISON_ATTEMPTS,
) -> list[Ended | Exception]:
    """Ends each, or says why not: StaleEpoch (audited), NotAllowed or TaskNotFound.

    Their events go through the outbox; permits for what is queued again follow the commit.
    """
    if not endings:
        return []
    locked = await repository.lock(tx, [ending.task_id for ending in endings])
    busy = await _busy(tx, locked)
    known = ((locked[it.task_id], it.problem) for it in endings if it.task_id in locked)
    suspicion = await poison.suspect(tx, known, limit=poison_attempts)
    outcomes: list[Ended | Exception] = []
    decided: list[_Decided] = []
    for given in await _kept(tx, endings, locked):
        ending = _stands_down(given, locked, busy)
        task = locked.get(ending.task_id)
        said = task and poison.verdict(task, ending.problem, suspicion, limit=poison_attempts)
        outcome = _decide(ending, task, said, pause=suspicion.pauses.get(ending.task_id, 0.0))
        if isinstance(outcome, _Decided):
            decided.append(outcome)
            locked[ending.task_id] = replace(outcome.task, life=outcome.life)
            outcomes.append(Ended(outcome.life, outcome.delay))
        else:
            outcomes.append(outcome)
    if decided:
        await repository.apply(tx, [_change(item) for item in decided])
        if ready := [item.task.id for item in decided if item.is_ready]:
            await fairness.place(tx, ready)
        await outbox.add(tx, *(message for item in decided for message in _messages(item)))
        tx.after_commit(lambda: _tell(bus, decided))
    await _audit(tx, endings, outcomes)
    return outcomes


async def _kept(
    tx: Transaction, endings: Sequence[Ending], locked: Mapping[TaskId, Locked]
) -> list[Ending]:
    """Keeps the blobs of results; a result that refers to what is not there is a failure."""
    refused = await references.refused(
        tx,
        (
            (ending.task_id, ending.result_json)
            for ending in endings
            if ending.result_json is not None and _is_present(ending, locked)
        ),
    )
    return [
        _refused(ending, refused[ending.task_id]) if ending.task_id in refused else ending
        for ending in endings
    ]


def _is_present(ending: Ending, locked: Mapping[TaskId, Locked]) -> bool:
    task = locked.get(ending.task_id)
    return task is not None and task.life.epoch == ending.epoch and not task.life.is_over


def _refused(ending: Ending, error: OrchestraError) -> Ending:
    if ending.result_json is None:
        return ending
    trigger = Trigger.FAIL if ending.trigger is Trigger.RESULT else Trigger.GIVE_UP
    problem = TaskProblem(error.code, f"The result: {error.message}")
    return replace(ending, trigger=trigger, result_json=None, problem=problem)


async def _busy(tx: Transaction, locked: Mapping[TaskId, Locked]) -> set[TaskId]:
    """Tasks that are being cancelled while something below them is not over."""
    stopping = [task.id for task in locked.values() if task.life.state is TaskState.CANCELLING]
    return await families.busy_below(tx, stopping) if stopping else set()


def _stands_down(
    ending: Ending, locked: Mapping[TaskId, Locked], busy: Collection[TaskId]
) -> Ending:
    """A cancelled task is over when everything below it is: its own run may stop before."""
    task = locked.get(ending.task_id)
    if task is None or task.id not in busy:
        return ending
    after = TRANSITIONS.get((task.life.state, ending.trigger))
    is_stop = after is TaskState.CANCELLED and task.agent_id is not None
    return replace(ending, trigger=Trigger.STAND_DOWN) if is_stop else ending


def _decide(
    ending: Ending, task: Locked | None, said: TaskProblem | None, *, pause: float
) -> _Decided | OrchestraError:
    """What becomes of it; `said` sets the task aside, `pause` comes before another attempt."""
    if task is None:
        return TaskNotFound()
    if said is not None and ending.trigger is Trigger.RETRY:
        ending = replace(ending, trigger=Trigger.GIVE_UP, verdict=said)
    try:
        if ending.agent_id is not None and ending.agent_id != task.agent_id:
            raise StaleEpoch("The lease is another agent's.")
        life = step(task.life, _resolve(ending, task), under=ending.epoch)
    except (StaleEpoch, NotAllowed) as error:
        return error
    return _Decided(ending, task, life, _pause(ending, task, life, pause))


def _resolve(ending: Ending, task: Locked) -> Trigger:
    """An agent that stops unasked has lost the attempt; its last failure is its own to announce."""
    trigger, life = ending.trigger, task.life
    if trigger is Trigger.STOPPED and life.state is TaskState.RUNNING:
        trigger = Trigger.RETRY
    if trigger is not Trigger.RETRY or life.state is not TaskState.RUNNING:
        return trigger
    code = ending.problem.code if ending.problem else ""
    if life.attempt < life.max_attempts and not retrying.is_final(task.retry, code):
        return trigger
    return Trigger.FAIL if ending.by_agent else Trigger.GIVE_UP


def _pause(ending: Ending, task: Locked, life: Life, suspected: float) -> float:
    """What has failed, or took too long, waits; if its agent was lost, for as long as suspected."""
    if life.state is not TaskState.QUEUED:
        return 0.0
    code = ending.problem.code if ending.problem else ""
    is_failure = ending.by_agent or code in TIME_OUTS
    return retrying.pause(task.retry, life.attempt) if is_failure else suspected


def _change(item: _Decided) -> Change:
    ending, life = item.ending, item.life
    failed = life.state is TaskState.FAILED
    return Change(
        id=ending.task_id,
        life=life,
        ends_epoch=ending.epoch if item.task.life.state in HELD else None,
        outcome=_outcome(item),
        result_json=ending.result_json if life.state is TaskState.SUCCEEDED else None,
        error_json=msgspec.json.encode(_problem(ending)) if failed else None,
        attempt_error_json=msgspec.json.encode(ending.problem) if ending.problem else None,
        usage_json=None if ending.usage is None else msgspec.json.encode(ending.usage),
        delay_seconds=item.delay,
        text="" if life.state is TaskState.SUCCEEDED else ending.text,
        sequence=_sequence(item),
    )


def _outcome(item: _Decided) -> str:
    if item.life.state in (TaskState.SUCCEEDED, TaskState.CANCELLED):
        return item.life.state
    if item.life.state is TaskState.WAITING:
        return SUSPENDED
    if item.life.state is TaskState.CANCELLING:
        return TaskState.CANCELLED
    if item.ending.trigger is Trigger.RETURN:
        return RETURNED
    return "failed" if item.ending.by_agent else "lost"


def _problem(ending: Ending) -> TaskProblem:
    reason = ending.reason or "The run ended without a result."
    return ending.verdict or ending.problem or TaskProblem("failed", reason)


def _sequence(item: _Decided) -> int:
    """The final event has the agent's number if the epoch is still the agent's."""
    return item.ending.sequence if item.life.epoch == item.ending.epoch else 0


def _messages(item: _Decided) -> tuple[Message, ...]:
    ending, life, task = item.ending, item.life, item.task
    subject = Subject(
        task_id=ending.task_id,
        user_id=task.user_id,
        capability=task.capability,
        agent_id=task.agent_id if life.is_over else None,
        agent_name=task.agent_name if life.is_over else "",
    )
    if not life.is_over:
        why = ending.reason or (ending.problem.message if ending.problem else "")
        return events.status(subject, life, reason=why, before=ending.before)
    return events.finished(
        subject,
        life,
        sequence=_sequence(item),
        result_json=ending.result_json if life.state is TaskState.SUCCEEDED else None,
        problem=_problem(ending) if life.state is TaskState.FAILED else None,
        usage=ending.usage,
        before=ending.before,
    )


async def _tell(bus: Bus, decided: Sequence[_Decided]) -> None:
    """Permits for what waits again, and word to the job that calls whoever waits for an end."""
    ready = [item for item in decided if item.is_ready]
    await bus.publish_soon(
        *(
            events.permit(
                item.task.queue, item.task.priority, item.ending.task_id, item.life.epoch, 1
            )
            for item in ready
        )
    )
    await tell_of_waiting(bus, [item.task for item in ready])
    if any(item.life.is_over and item.task.wants_finish for item in decided):
        await tell(bus, events.FINISHED_SUBJECT, b"")
    for item in decided:
        if not item.ending.by_agent and item.task.life.state in HELD:
            notice = events.RunNotice(
                item.ending.task_id, item.ending.epoch, item.ending.reason, is_revoked=True
            )
            await tell(bus, events.RUN_SUBJECT, msgspec.json.encode(notice))


async def _audit(
    tx: Transaction, endings: Sequence[Ending], outcomes: Sequence[Ended | Exception]
) -> None:
    """A write under a lease that is over is refused, and somebody may want to know why it came.

    Word from the agent that had the lease that it has stopped asks for nothing, and is only noted.
    """
    for ending, outcome in zip(endings, outcomes, strict=True):
        if not isinstance(outcome, StaleEpoch) or ending.agent_id is None:
            continue
        was_its = await late.has_stopped(tx, ending.task_id, ending.epoch, ending.agent_id)
        if ending.trigger is not Trigger.STOPPED or not was_its:
            stale = Stale(ending.task_id, ending.epoch, ending.trigger, outcome.message)
            await note_stale(tx, ending.by, stale)


@dataclass(frozen=True, slots=True)
class Stale:
    """A write that came under a lease which is over."""

    task_id: TaskId
    epoch: int
    what: str
    why: str


async def note_stale(tx: Transaction, by: Actor, stale: Stale) -> None:
    """Counts it for who asks what ran on after a cancel, and records it."""
    await repository.count_refused(tx, stale.task_id)
    await audit.record(
        tx,
        by,
        "task.stale_write_refused",
        target_kind="task",
        target_id=stale.task_id,
        details={"epoch": stale.epoch, "trigger": stale.what, "why": stale.why},
    )

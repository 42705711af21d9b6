"""Gives slots back until something has happened, and brings tasks back when it has.

Whoever settles a step locks the waiting task first and then looks whether it may go on; whoever
suspends does the same under the same lock. So one of the two always sees what the other has done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestra_protocol import agent_pb2 as pb

from orchestra.features.events import Outbox
from orchestra.features.tasks import events
from orchestra.features.tasks.errors import BadCommand, NameTaken, TooMany, UnknownStep
from orchestra.features.tasks.events import Subject
from orchestra.features.tasks.repository import ending, waiting, why
from orchestra.features.tasks.repository import steps as step_rows
from orchestra.features.tasks.repository.ending import Locked
from orchestra.features.tasks.service.ends.ending import Ending, end_all
from orchestra.features.tasks.service.orchestration.steps import check_name
from orchestra.features.tasks.service.reading.why import explain
from orchestra.features.tasks.service.submitting.validation import MAX_SECONDS
from orchestra.features.tasks.types import Step, StepKind, TaskId, Trigger
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Transaction, without_nul
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

RESUMED = "What it waited for has happened."


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """A run that wants to wait; `text` is what it has said."""

    task: Locked
    by: Actor
    wanted: pb.Suspend
    text: str


async def suspend(
    tx: Transaction, outbox: Outbox, bus: Bus, settings: Settings, leave: Leave
) -> list[Step] | None:
    """Ends the lease of a run whose row is locked; or the steps for which it need not wait.

    Raises BadCommand, UnknownStep, NameTaken or TooMany.
    """
    wanted, task = leave.wanted, leave.task
    timers = _timers(wanted)
    names = list(dict.fromkeys(wanted.names))
    known = await step_rows.named(tx, task.id, names)
    if missing := [name for name in names if name not in known]:
        raise UnknownStep(f"There is no step {missing[0]!r} to wait for.")
    await step_rows.settle_children_of(tx, task.id)
    until = await _until(tx, settings, leave, timers)
    await waiting.note_wait(tx, task.id, names=names, any=wanted.any, until=until)
    await step_rows.settle_timers(tx, [task.id])
    asked = [*names, *timers]
    there = (await step_rows.settled(tx, [task.id], names=asked)).get(task.id, [])
    if _is_enough(wanted, names, timers, there):
        return there
    (outcome,) = await end_all(tx, outbox, bus, [_ending(leave)])
    if isinstance(outcome, Exception):
        raise outcome
    await _tell_why(tx, outbox, task)
    return None


async def _tell_why(tx: Transaction, outbox: Outbox, task: Locked) -> None:
    facts = await why.facts(tx, task.id)
    if facts is not None:
        subject = Subject(task_id=task.id, user_id=task.user_id, capability=task.capability)
        await outbox.add(tx, *events.waiting(subject, facts.epoch, await explain(tx, facts)))


async def wake(tx: Transaction, outbox: Outbox, bus: Bus, ids: Sequence[TaskId]) -> int:
    """Brings those of the tasks, whose rows are locked, back into their queues that may go on."""
    if not ids:
        return 0
    await step_rows.settle_timers(tx, ids)
    ready = await waiting.ready(tx, ids)
    endings = [
        Ending(task_id=item.task_id, epoch=item.epoch, trigger=Trigger.RESUME, reason=RESUMED)
        for item in ready
    ]
    if endings:
        await end_all(tx, outbox, bus, endings)
    return len(endings)


async def wake_due(tx: Transaction, outbox: Outbox, bus: Bus, *, limit: int) -> int:
    """Brings back one batch of tasks whose time has come; returns how many it looked at."""
    due = await waiting.due(tx, limit=limit)
    if due:
        await ending.lock(tx, due)
        await wake(tx, outbox, bus, due)
    return len(due)


def _ending(leave: Leave) -> Ending:
    return Ending(
        task_id=leave.task.id,
        epoch=leave.task.life.epoch,
        trigger=Trigger.SUSPEND,
        by=leave.by,
        agent_id=leave.task.agent_id,
        reason="It waits, and has given its slot back.",
        text=leave.text,
    )


def _timers(wanted: pb.Suspend) -> dict[str, float]:
    """The seconds of each timer that is a step, by its name. Raises BadCommand."""
    seconds = [wanted.seconds, *(timer.seconds for timer in wanted.timers)]
    if not all(0 <= length <= MAX_SECONDS for length in seconds):
        raise BadCommand(f"A wait has 0 to {MAX_SECONDS:g} seconds.")
    named = [(check_name(timer.name), timer.seconds) for timer in wanted.timers]
    if wanted.name and wanted.seconds:
        named.insert(0, (check_name(wanted.name), wanted.seconds))
    if not wanted.names and not named:
        raise BadCommand("Name what to wait for, or a timer with its seconds and name.")
    timers = {without_nul(name): length for name, length in named}
    if len(timers) < len(named):
        raise BadCommand("Each timer has a name of its own.")
    return timers


async def _until(
    tx: Transaction, settings: Settings, leave: Leave, timers: Mapping[str, float]
) -> datetime | None:
    """Until when at the latest; some of the timers were perhaps begun by an earlier lease."""
    wanted, task = leave.wanted, leave.task
    moments: list[datetime] = []
    if wanted.seconds and not wanted.name:
        moments.append(await waiting.from_now(tx, wanted.seconds))
    if timers:
        begun = await step_rows.begin_timers(tx, task.id, task.life.epoch, timers)
        if any(kind is not StepKind.TIMER for kind, _ in begun):
            raise NameTaken
        if await step_rows.count(tx, task.id, children=False) > settings.max_steps:
            raise TooMany
        moments.extend(due_at for _, due_at in begun if due_at is not None)
    return min(moments, default=None)


def _is_enough(
    wanted: pb.Suspend, names: Sequence[str], timers: Mapping[str, float], there: Sequence[Step]
) -> bool:
    found = {step.name for step in there}
    if not found.isdisjoint(timers):
        return True
    if not names:
        return False
    return not found.isdisjoint(names) if wanted.any else found.issuperset(names)

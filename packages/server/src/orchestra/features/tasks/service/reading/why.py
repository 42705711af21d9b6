"""Why a task does not run: a code for programs and a sentence for people, from facts alone.

What is checked first is what would hold it even if everything after it were well.
"""

import uuid
from datetime import datetime

from orchestra.features.tasks.errors import TaskNotFound
from orchestra.features.tasks.repository import why as repository
from orchestra.features.tasks.repository.why import Facts
from orchestra.features.tasks.service.reading.reading import visible
from orchestra.features.tasks.service.reading.why_not_free import (
    held_by_agents,
    held_by_limits,
    its_turn,
)
from orchestra.features.tasks.service.reading.why_waiting import held_by_steps
from orchestra.features.tasks.service.reading.wording import at_words, seconds_words
from orchestra.features.tasks.types import HELD, TERMINAL, TaskState, Why
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Transaction


async def why(tx: Transaction, actor: Actor, task_id: uuid.UUID) -> Why:
    """Raises TaskNotFound for a task that the actor may not see."""
    task = await visible(tx, actor, task_id)
    facts = await repository.facts(tx, task.id)
    if facts is None:
        raise TaskNotFound
    return await explain(tx, facts, is_own=task.user_id == actor.user_id)


async def explain(tx: Transaction, task: Facts, *, is_own: bool = True) -> Why:
    """The same for whoever may see it anyway; `is_own` says "your" to its owner."""
    if task.state in TERMINAL:
        return Why("over", f"It has ended: {task.state}.", {"state": task.state})
    if task.state in HELD:
        return _running(task) if task.has_run else _stopping()
    if task.state is TaskState.WAITING:
        return await held_by_steps(tx, task)
    if task.run_after is not None:
        return _delayed(task, task.run_after)
    if task.paused_at is not None:
        return _paused(task, task.paused_at)
    servers = await repository.servers(tx, task.queue, task.user_id)
    found = held_by_agents(task, servers) or await held_by_limits(tx, task, is_own=is_own)
    return found or await its_turn(tx, task, servers)


def _running(task: Facts) -> Why:
    known = {"agent_name": task.agent_name, "attempt": task.attempt, "state": task.state}
    if task.state is TaskState.CANCELLING:
        return Why("running", f"{task.agent_name} was asked to stop and has not yet.", known)
    return Why("running", f"{task.agent_name} works on it, attempt {task.attempt}.", known)


def _stopping() -> Why:
    said = "It is being cancelled, and ends when everything below it has stopped."
    return Why("waiting_for_children", said, {"state": TaskState.CANCELLING})


def _delayed(task: Facts, at: datetime) -> Why:
    left = max(0.0, task.seconds_left or 0.0)
    known = {"at": at.isoformat(), "seconds": round(left, 1)}
    if left == 0:
        return Why("about_to_start", "Its time has come; it starts in a moment.", known)
    if task.epoch == 1:
        return Why("scheduled", f"It is scheduled for {at_words(at)}.", known)
    known |= {"attempt": task.attempt + 1, "max_attempts": task.max_attempts}
    said = f"Attempt {task.attempt + 1} of {task.max_attempts} starts in {seconds_words(left)}."
    return Why("retry_pause", said, known)


def _paused(task: Facts, at: datetime) -> Why:
    said = f"The queue {task.queue} was paused by {task.paused_by} at {at_words(at)}."
    known = {"queue": task.queue, "paused_by": task.paused_by, "paused_at": at.isoformat()}
    return Why("queue_paused", said, known)

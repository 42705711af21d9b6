"""What tasks announce: windows on a task's feed, facts on its owner's feed, permits, logs.

Each message is a pure value here; who sends it, and how surely, is the caller's decision.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from orchestra.features.events import (
    TaskEvent,
    event_payload,
    gathered,
    task_topic,
    task_window,
    user_topic,
)
from orchestra.features.tasks.types import (
    Approval,
    Life,
    Priority,
    QueueName,
    TaskId,
    TaskProblem,
    Why,
)
from orchestra.foundation import ids
from orchestra.foundation.messaging import Message

# Core NATS, to whoever is there now; what is missed is found in the database by the sweeps.
WAKE_SUBJECT = "control.wake"  # a task waits for one agent
RUN_SUBJECT = "control.run"  # a run was asked to stop, or its lease was taken
ATTACHED_SUBJECT = "control.attached"  # an agent has connected to another control plane
COUNTS_SUBJECT = "control.counts"  # of agents and tasks, for every process's metrics
FINISHED_SUBJECT = "control.finished"  # a task is over whose submitter wants to be called


class RunNotice(msgspec.Struct, frozen=True):
    """Told to all control planes: stop this run (`is_revoked`: its lease is over already)."""

    task_id: uuid.UUID
    epoch: int
    reason: str
    is_revoked: bool


class AttachedNotice(msgspec.Struct, frozen=True):
    """Told to all control planes: this agent's stream is now at that one."""

    agent_id: uuid.UUID
    control_plane_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The task that an event is about, as its readers know it."""

    task_id: TaskId
    user_id: uuid.UUID
    capability: str
    agent_id: uuid.UUID | None = None
    agent_name: str = ""


def status_event(subject: Subject, life: Life, *, reason: str = "") -> TaskEvent:
    """A transition that moved the epoch, for the task's feed."""
    fact = _status(subject, life, reason)
    return TaskEvent(cursor=f"{life.epoch}:0", type="task.status", data=fact)


def status_for_owner(subject: Subject, life: Life, *, reason: str = "") -> Message:
    """The same for the feed of the task's owner."""
    fact = _status(subject, life, reason)
    return _to_owner(subject, "task.status", fact, key=f"{life.epoch}:0")


def status(
    subject: Subject, life: Life, *, reason: str = "", before: Sequence[TaskEvent] = ()
) -> tuple[Message, Message]:
    """Both of them; `before` are events that readers have to get first, in the same message."""
    event = status_event(subject, life, reason=reason)
    return (
        window(subject.task_id, [*before, event]),
        status_for_owner(subject, life, reason=reason),
    )


def cancelling(subject: Subject, life: Life, *, reason: str) -> tuple[Message, Message]:
    """The agent was asked to stop; the cursor does not move."""
    event = TaskEvent(cursor=None, type="task.cancelling", data={"reason": reason})
    fact = {"state": life.state, "epoch": life.epoch, "attempt": life.attempt, "reason": reason}
    fact |= {"agent_id": subject.agent_id, "agent_name": subject.agent_name}
    key = f"{life.epoch}:cancelling"
    return (
        Message(
            task_topic(subject.task_id),
            task_window(subject.task_id, [event]),
            f"{subject.task_id}:{key}",
        ),
        _to_owner(subject, "task.status", fact, key=key),
    )


def waiting(subject: Subject, epoch: int, why: Why) -> tuple[Message, Message]:
    """Why a task waits; the cursor does not move."""
    name = str(ids.new_id())
    fact: dict[str, Any] = {"epoch": epoch, "code": why.code, "message": why.message}
    fact["parameters"] = why.parameters
    event = TaskEvent(cursor=None, type="task.waiting", data=fact)
    return (
        window(subject.task_id, [event]),
        _to_owner(subject, "task.waiting", fact, key=name),
    )


def finished(
    subject: Subject,
    life: Life,
    *,
    sequence: int,
    result_json: bytes | None = None,
    problem: TaskProblem | None = None,
    usage: dict[str, Any] | None = None,
    before: Sequence[TaskEvent] = (),
) -> tuple[Message, Message]:
    """The end. Its cursor is that of the agent's last event; `epoch:0` if the server ended it.

    `before` are events that readers have to get first, in the same message.
    """
    end = {
        "state": life.state,
        "result": None if result_json is None else msgspec.Raw(result_json),
        "error": problem,
        "usage": usage,
    }
    cursor = f"{life.epoch}:{sequence}"
    event = TaskEvent(cursor=cursor, type="task.finished", data=end)
    fact = {"state": life.state, "epoch": life.epoch, "attempt": life.attempt}
    fact |= {"agent_id": subject.agent_id, "agent_name": subject.agent_name}
    fact |= {"error": problem, "usage": usage}
    return (
        window(subject.task_id, [*before, event]),
        _to_owner(subject, "task.finished", fact, key=cursor),
    )


def for_all(told: Iterable[tuple[Message, Message]]) -> list[Message]:
    """What `status` or `finished` say of many tasks, in few messages to their owners."""
    of_tasks: list[Message] = []
    of_owners: list[Message] = []
    for of_task, of_owner in told:
        of_tasks.append(of_task)
        of_owners.append(of_owner)
    return [*of_tasks, *gathered(of_owners)]


def window(task_id: TaskId, events: Sequence[TaskEvent], *, life: str = "") -> Message:
    """Consecutive events of one task; the message is named after the first that has a cursor.

    `life` names the control plane that has taken a run over: its windows are cut in other places,
    so they must not pass for repetitions of the former's. Readers know repeated events by cursor.
    """
    first = next((event.cursor for event in events if event.cursor), None) or str(ids.new_id())
    name = f"{task_id}:{first}:{life}" if life else f"{task_id}:{first}"
    return Message(task_topic(task_id), task_window(task_id, events), name)


def permit(
    queue: QueueName, priority: Priority, task_id: TaskId, epoch: int, count: int
) -> Message:
    """Says that work waits; which, the database says."""
    payload = msgspec.json.encode({"task_id": task_id, "epoch": epoch, "count": count})
    return Message(f"tasks.{priority.word}.{queue}", payload, f"{task_id}:{epoch}")


def permit_again(queue: QueueName, priority: Priority, message_id: str) -> Message:
    """A permit for a queue in which tasks have waited for a while."""
    return Message(f"tasks.{priority.word}.{queue}", b"{}", message_id)


def log_line(task_id: TaskId, epoch: int, sequence: int, line: dict[str, Any]) -> Message:
    """One line that a task logged, for the log stream."""
    payload = msgspec.json.encode({"task_id": task_id, "epoch": epoch, "sequence": sequence} | line)
    return Message(f"logs.task.{task_id}", payload, f"{task_id}:{epoch}:{sequence}:log")


def approval(kind: str, item: Approval) -> Message:
    """A question was asked or is closed, for the feed of the task's owner."""
    fact = {
        "approval_id": item.id,
        "task_id": item.task_id,
        "name": item.name,
        "kind": item.kind,
        "question": item.question,
        "state": item.state,
        "answered_by": item.answered_by,
        "expires_at": item.expires_at,
    }
    return Message(user_topic(item.user_id), event_payload(kind, fact), f"{item.id}:{kind}")


def _status(subject: Subject, life: Life, reason: str) -> dict[str, Any]:
    return {
        "state": life.state,
        "epoch": life.epoch,
        "attempt": life.attempt,
        "agent_id": subject.agent_id,
        "agent_name": subject.agent_name,
        "reason": reason,
    }


def _to_owner(subject: Subject, kind: str, fact: dict[str, Any], *, key: str) -> Message:
    known = {"task_id": subject.task_id, "capability": subject.capability}
    return Message(
        user_topic(subject.user_id),
        event_payload(kind, {**known, **fact}),
        f"{subject.task_id}:{key}:{kind}",
    )

"""What REST carries about tasks, and how tasks look in protobuf."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from google.protobuf.struct_pb2 import Struct
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.events import FeedItem
from orchestra.features.tasks.service.values import TooDeep, from_value, to_value
from orchestra.features.tasks.types import (
    Attempt,
    NewTask,
    Place,
    Priority,
    RetryPolicy,
    Task,
    WaitsFor,
)
from orchestra.foundation import timestamps
from orchestra.foundation.errors import FieldError, InvalidInput
from orchestra.foundation.web import Body, View

MAX_BATCH = 1_000
PriorityWord = Literal["low", "normal", "high", "critical"]


class TaskRequest(Body):
    """What to do (`capability`, or `agent_id`, or both) with which input. Time-outs in seconds."""

    input: Any = None
    capability: str = ""
    agent_id: uuid.UUID | None = None
    priority: PriorityWord = "normal"
    queue_timeout_seconds: float | None = None
    run_timeout_seconds: float | None = None
    progress_timeout_seconds: float | None = None
    max_attempts: int | None = None
    affinity_key: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    delay_seconds: float | None = None
    run_at: datetime | None = None
    deadline_seconds: float | None = None
    retry: RetryPolicy | None = None

    def to_new(self, idempotency_key: str | None = None) -> NewTask:
        return NewTask(
            input=self.input,
            capability=self.capability,
            agent_id=self.agent_id,
            priority=Priority[self.priority.upper()],
            idempotency_key=idempotency_key,
            queue_timeout_seconds=self.queue_timeout_seconds,
            run_timeout_seconds=self.run_timeout_seconds,
            progress_timeout_seconds=self.progress_timeout_seconds,
            max_attempts=self.max_attempts,
            affinity_key=self.affinity_key,
            delay_seconds=self.delay_seconds,
            run_at=self.run_at,
            deadline_seconds=self.deadline_seconds,
            retry=self.retry,
        )


class BatchRequest(Body):
    """Tasks that are taken in all together, or not at all."""

    tasks: Annotated[list[TaskRequest], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]


class CancelRequest(Body):
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class ErrorView(View):
    code: str
    message: str


class TaskView(View):
    """A task. In lists `input` and `result` are null."""

    id: uuid.UUID
    capability: str
    agent_id: uuid.UUID | None
    agent_name: str
    state: str
    priority: str
    attempt: int
    max_attempts: int
    epoch: int
    input: Any
    result: Any
    error: ErrorView | None
    user_id: uuid.UUID
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    usage: dict[str, Any] | None
    run_after: datetime | None
    deadline: datetime | None
    retry: RetryPolicy | None
    replay_of: uuid.UUID | None
    parent_id: uuid.UUID | None
    replayed_as: uuid.UUID | None


class AttemptView(View):
    attempt: int
    epoch: int
    agent_id: uuid.UUID
    agent_name: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error: ErrorView | None


class WaitsForView(View):
    """What a waiting task waits for: all of it, or `any` one, at the latest `until`.

    Of `count` names the first hundred that have no outcome yet.
    """

    any: bool
    until: datetime | None
    count: int
    names: list[str]
    child_ids: list[uuid.UUID]
    approval_ids: list[uuid.UUID]


class TaskDetail(TaskView):
    """A task with everything that was tried, its place in its tree, and what it waits for."""

    attempts: list[AttemptView]
    root_id: uuid.UUID
    depth: int
    name: str | None  # in its parent
    detached: bool
    waits_for: WaitsForView | None


class BatchItem(View):
    id: uuid.UUID
    state: str


class BatchView(View):
    items: list[BatchItem]


def task_fields(task: Task) -> dict[str, Any]:
    """The fields of TaskView."""
    return {
        "id": task.id,
        "capability": task.capability,
        "agent_id": task.agent_id or addressee(task),
        "agent_name": task.agent_name,
        "state": task.state,
        "priority": task.priority.word,
        "attempt": task.attempt,
        "max_attempts": task.max_attempts,
        "epoch": task.epoch,
        "input": task.input,
        "result": task.result,
        "error": ErrorView(code=task.error.code, message=task.error.message)
        if task.error
        else None,
        "user_id": task.user_id,
        "created_at": task.created_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
        "usage": task.usage,
        "run_after": task.run_after,
        "deadline": task.deadline,
        "retry": task.retry,
        "replay_of": task.replay_of,
        "parent_id": task.parent_id,
        "replayed_as": task.replayed_as,
    }


def task_view(task: Task) -> TaskView:
    return TaskView(**task_fields(task))


def task_detail(
    task: Task, attempts: list[Attempt], place: Place, waits_for: WaitsFor | None
) -> TaskDetail:
    return TaskDetail(
        **task_fields(task),
        attempts=[attempt_view(item) for item in attempts],
        root_id=place.root_id,
        depth=place.depth,
        name=place.child_name,
        detached=place.detached,
        waits_for=_waits_for_view(waits_for) if waits_for else None,
    )


def _waits_for_view(found: WaitsFor) -> WaitsForView:
    return WaitsForView(**{name: getattr(found, name) for name in WaitsFor.__slots__})


def attempt_view(attempt: Attempt) -> AttemptView:
    error = attempt.error
    return AttemptView(
        attempt=attempt.attempt,
        epoch=attempt.epoch,
        agent_id=attempt.agent_id,
        agent_name=attempt.agent_name,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        outcome=attempt.outcome,
        error=ErrorView(code=error.code, message=error.message) if error else None,
    )


def addressee(task: Task) -> uuid.UUID | None:
    """The one agent whose queue the task is in, if it is in such a queue."""
    return None if task.queue == task.capability else uuid.UUID(task.queue)


def new_task_from_wire(request: pb.AssignTaskRequest) -> NewTask:
    """Raises InvalidInput. Zero and empty mean "not given"."""
    try:
        given = from_value(request.input)
        agent_id = uuid.UUID(request.agent_id) if request.agent_id else None
    except TooDeep as error:
        raise InvalidInput(f"input: {error}", fields=[FieldError("input", str(error))]) from error
    except ValueError as error:
        raise InvalidInput(
            "agent_id: not an id", fields=[FieldError("agent_id", "not an id")]
        ) from error
    return NewTask(
        input=given,
        capability=request.capability,
        agent_id=agent_id,
        priority=_priority(request.priority),
        idempotency_key=request.idempotency_key or None,
        queue_timeout_seconds=request.queue_timeout_seconds or None,
        run_timeout_seconds=request.run_timeout_seconds or None,
        progress_timeout_seconds=request.progress_timeout_seconds or None,
        max_attempts=request.max_attempts or None,
        delay_seconds=request.delay_seconds or None,
        deadline_seconds=request.deadline_seconds or None,
    )


def _priority(number: int) -> Priority:
    try:
        return Priority(number)
    except ValueError as error:
        said = "is none of the priorities"
        raise InvalidInput(f"priority {said}", fields=[FieldError("priority", said)]) from error


def first_event(task: Task, *, moves_cursor: bool) -> pb.TaskEvent:
    """The task as it is when the call begins."""
    fact = {
        "state": task.state,
        "epoch": task.epoch,
        "attempt": task.attempt,
        "agent_id": str(task.agent_id) if task.agent_id else None,
        "agent_name": task.agent_name,
        "reason": "",
    }
    return _event(task.id, f"{task.epoch}:0" if moves_cursor else "", "task.status", fact)


def feed_item_to_wire(task_id: uuid.UUID, item: FeedItem) -> pb.TaskEvent:
    return _event(task_id, item.cursor or "", item.type, msgspec.json.decode(item.data))


def _event(task_id: uuid.UUID, cursor: str, kind: str, fact: Any) -> pb.TaskEvent:
    content = Struct()
    content.CopyFrom(to_value(fact).struct_value)
    return pb.TaskEvent(
        task_id=str(task_id), cursor=cursor, type=kind, data=content, timestamp=timestamps.now()
    )

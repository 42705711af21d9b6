"""What REST carries about trees of tasks, their steps, and how they were stopped."""

import uuid
from datetime import datetime
from typing import Any, Literal

from orchestra.features.tasks.schemas.tasks import ErrorView
from orchestra.features.tasks.types import (
    Cancellation,
    How,
    Step,
    Stopped,
    TaskProblem,
    TreeNode,
)
from orchestra.foundation.web import View

# What is known of a run's process once its lease was taken back.
AfterFence = Literal["stopped", "heard", "unknown"]


class TreeNodeView(View):
    """One task of a tree; `name` is its name in its parent."""

    id: uuid.UUID
    parent_id: uuid.UUID | None
    name: str
    depth: int
    detached: bool
    capability: str
    state: str
    attempt: int
    agent_name: str
    error: ErrorView | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class StepView(View):
    """What a task does once and for all. Without `settled_at` it has no outcome yet."""

    name: str
    kind: str
    output: Any
    error: ErrorView | None
    child_id: uuid.UUID | None
    approval_id: uuid.UUID | None
    due_at: datetime | None
    epoch: int
    created_at: datetime
    settled_at: datetime | None


class StoppedView(View):
    """How one task came to its end; `ran_on_seconds` after it was asked to stop.

    A run is fenced when its lease is taken back: nothing that it writes counts from `fenced_at` on,
    but its process may go on. `after_fence` says what is known of that: "stopped" (its agent said
    so at `stopped_at`), "heard" (its agent last spoke of it at `last_heard_at`) or "unknown". Of
    the last two `ran_on_seconds` is what is known: it may have been more.
    """

    id: uuid.UUID
    parent_id: uuid.UUID | None
    depth: int
    capability: str
    agent_name: str
    state: str
    how: How
    code: str
    requested_at: datetime | None
    stopped_at: datetime | None
    fenced_at: datetime | None
    last_heard_at: datetime | None
    after_fence: AfterFence | None
    ran_on_seconds: float | None
    refused_writes: int
    last_refused_at: datetime | None


class CancellationView(View):
    """Who has stopped a tree, how far that is, and page by page how each task of it has ended."""

    top_id: uuid.UUID
    requested_at: datetime
    requested_by: str
    reason: str
    is_complete: bool
    completed_at: datetime | None
    tasks: int
    stopping: int
    items: list[StoppedView]
    next_cursor: str | None


def node_view(node: TreeNode) -> TreeNodeView:
    return TreeNodeView(
        id=node.id,
        parent_id=node.parent_id,
        name=node.name,
        depth=node.depth,
        detached=node.detached,
        capability=node.capability,
        state=node.state,
        attempt=node.attempt,
        agent_name=node.agent_name,
        error=_error(node.error),
        created_at=node.created_at,
        started_at=node.started_at,
        finished_at=node.finished_at,
    )


def step_view(step: Step) -> StepView:
    return StepView(
        name=step.name,
        kind=step.kind,
        output=step.output,
        error=_error(step.error),
        child_id=step.child_id,
        approval_id=step.approval_id,
        due_at=step.due_at,
        epoch=step.epoch,
        created_at=step.created_at,
        settled_at=step.settled_at,
    )


def cancellation_view(
    record: Cancellation, items: list[Stopped], next_cursor: str | None
) -> CancellationView:
    is_complete = record.stopping == 0
    return CancellationView(
        top_id=record.top_id,
        requested_at=record.requested_at,
        requested_by=record.requested_by,
        reason=record.reason,
        is_complete=is_complete,
        completed_at=record.last_at if is_complete else None,
        tasks=record.tasks,
        stopping=record.stopping,
        items=[_stopped_view(item) for item in items],
        next_cursor=next_cursor,
    )


def _stopped_view(item: Stopped) -> StoppedView:
    return StoppedView(
        id=item.id,
        parent_id=item.parent_id,
        depth=item.depth,
        capability=item.capability,
        agent_name=item.agent_name,
        state=item.state,
        how=item.how,
        code=item.code,
        requested_at=item.requested_at,
        stopped_at=item.stopped_at,
        fenced_at=item.fenced_at,
        last_heard_at=item.last_heard_at,
        after_fence=_after_fence(item),
        ran_on_seconds=_ran_on(item),
        refused_writes=item.refused_writes,
        last_refused_at=item.last_refused_at,
    )


def _after_fence(item: Stopped) -> AfterFence | None:
    if item.fenced_at is None:
        return None
    if item.stopped_at is not None:
        return "stopped"
    return "unknown" if item.last_heard_at is None else "heard"


def _ran_on(item: Stopped) -> float | None:
    """Until it had stopped; of a fenced run that never said so, until it was last known of."""
    until = item.stopped_at or item.last_heard_at or item.fenced_at
    if item.requested_at is None or until is None:
        return None
    return max(0.0, (until - item.requested_at).total_seconds())


def _error(problem: TaskProblem | None) -> ErrorView | None:
    return ErrorView(code=problem.code, message=problem.message) if problem else None

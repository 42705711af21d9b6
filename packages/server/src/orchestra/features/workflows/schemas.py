"""What REST carries about workflows."""

import uuid
from datetime import datetime
from typing import Any, Literal

from orchestra.features.tasks import NewTask, Priority
from orchestra.features.workflows.types import (
    ListedWorkflow,
    Name,
    Spec,
    Version,
    Workflow,
    WorkflowRun,
)
from orchestra.foundation.web import Body, View


class WorkflowRequest(Body):
    """A workflow to declare; a name that exists gets a new version."""

    name: Name
    spec: Spec


class RunRequest(Body):
    """`version` null: the newest."""

    input: Any = None
    version: Version | None = None
    priority: Literal["low", "normal", "high", "critical"] = "normal"

    def to_new(self, name: str, idempotency_key: str | None) -> NewTask:
        return NewTask(
            input=self.input,
            capability=name,
            priority=Priority[self.priority.upper()],
            idempotency_key=idempotency_key,
        )


class WorkflowView(View):
    """One version of a workflow, which never changes."""

    name: str
    version: int
    spec: Spec
    created_at: datetime


class ListedWorkflowView(View):
    """The newest version of a workflow; what it declares is shown by its name."""

    user_id: uuid.UUID
    name: str
    version: int
    created_at: datetime


class StartedView(View):
    """A run is a task: `/api/tasks/{task_id}` and `/api/tasks/{task_id}/tree` show it."""

    task_id: uuid.UUID
    name: str
    version: int
    state: str


class RunReplayView(StartedView):
    """`kept` are the nodes whose results the new run has from the old one."""

    replay_of: uuid.UUID
    kept: list[str]


class WorkflowRunView(View):
    task_id: uuid.UUID
    version: int
    state: str
    created_at: datetime
    finished_at: datetime | None


def workflow_view(item: Workflow) -> WorkflowView:
    return WorkflowView(
        name=item.name, version=item.version, spec=item.spec, created_at=item.created_at
    )


def listed_view(item: ListedWorkflow) -> ListedWorkflowView:
    return ListedWorkflowView(
        user_id=item.user_id, name=item.name, version=item.version, created_at=item.created_at
    )


def run_view(item: WorkflowRun) -> WorkflowRunView:
    return WorkflowRunView(
        task_id=item.task_id,
        version=item.version,
        state=item.state,
        created_at=item.created_at,
        finished_at=item.finished_at,
    )

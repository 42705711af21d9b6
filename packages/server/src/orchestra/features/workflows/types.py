"""What a workflow is: nodes with a capability each, what each needs, and what comes out."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

MAX_VERSION = 2**31 - 1
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


Version = Annotated[int, msgspec.Meta(ge=1, le=MAX_VERSION)]


class Node(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One task of a workflow.

    `input` and `when` may refer to the run's input and to results: see `Spec`. A node with a
    `when` that is false, null, 0, empty or missing is skipped, and its result is null; so is that
    of an `optional` node that has failed. Whatever is referred to is needed, too.
    """

    capability: str
    input: Any = None
    needs: list[str] = []
    when: Any = True
    optional: bool = False
    priority: Literal["low", "normal", "high", "critical"] | None = None
    max_attempts: int | None = None
    queue_timeout_seconds: float | None = None
    run_timeout_seconds: float | None = None
    progress_timeout_seconds: float | None = None
    delay_seconds: float | None = None
    affinity_key: str | None = None


class Spec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A workflow as data. Nodes run as soon as what they need is over.

    Anywhere in an input, in `when` and in `output`, `{"$input": "/a/b"}` stands for what a JSON
    pointer (RFC 6901) finds in the run's input, and `{"$node": "name", "at": "/a"}` for what it
    finds in a node's result. Without `output` the result has the results of all nodes by name.
    """

    nodes: dict[str, Node]
    output: Any = msgspec.UNSET
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One version of somebody's workflow."""

    user_id: uuid.UUID
    name: str
    version: int
    spec: Spec
    created_at: datetime
    is_repeated: bool = False  # the newest version says exactly this already


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedWorkflow:
    """The newest version of somebody's workflow, without what it declares."""

    user_id: uuid.UUID
    name: str
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRun:
    """A run, which finishes on its version."""

    task_id: uuid.UUID
    version: int
    state: str
    created_at: datetime
    finished_at: datetime | None

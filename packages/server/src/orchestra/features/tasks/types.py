"""What a task is, and the one table that says how its state may change."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, Literal, NewType

import msgspec

TaskId = NewType("TaskId", uuid.UUID)
QueueName = NewType("QueueName", str)  # a capability, or the id of an agent


class TaskState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"  # has given its slot back until a child, a person or a time has come
    CANCELLING = "cancelling"  # runs, and its agent was asked to stop
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Priority(IntEnum):
    LOW = 0
    NORMAL = 1
    HIGH = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        """As REST and subjects spell it."""
        return self.name.lower()


class Balancing(StrEnum):
    """How a queue chooses among its agents with free slots."""

    LEAST_BUSY = "least_busy"  # the smallest share of slots in use
    LATENCY = "latency"  # where tasks have been done soonest of late
    RESOURCES = "resources"  # the most free slots on the machine with the most left
    AFFINITY = "affinity"  # by the task's affinity key, or its user
    ROUND_ROBIN = "round_robin"  # each in its turn


class Trigger(StrEnum):
    """What can happen to a task."""

    CLAIM = "claim"  # a control plane took it for an agent
    RESULT = "result"  # the agent has done it
    FAIL = "fail"  # the agent says it cannot be done, or no attempts are left
    RETRY = "retry"  # this attempt is lost, another may succeed
    STOPPED = "stopped"  # the agent has stopped because it was asked to
    CANCEL = "cancel"  # somebody asks to stop it
    EXPIRE = "expire"  # it waited longer than it may
    SUSPEND = "suspend"  # the agent gives the slot back until something has happened
    RESUME = "resume"  # that has happened
    RETURN = "return"  # the agent gives it back before it has begun
    GIVE_UP = "give_up"  # the server ends the run without its agent
    STAND_DOWN = "stand_down"  # it has stopped itself, what is below it in the tree has not
    CONCLUDE = "conclude"  # the server itself has done what it waited for


# Absent is not allowed. A task being cancelled never goes back to its queue: nobody wants it.
TRANSITIONS: Mapping[tuple[TaskState, Trigger], TaskState] = {
    (TaskState.QUEUED, Trigger.CLAIM): TaskState.RUNNING,
    (TaskState.QUEUED, Trigger.CANCEL): TaskState.CANCELLED,
    (TaskState.QUEUED, Trigger.STAND_DOWN): TaskState.CANCELLING,
    (TaskState.QUEUED, Trigger.EXPIRE): TaskState.FAILED,
    (TaskState.RUNNING, Trigger.RESULT): TaskState.SUCCEEDED,
    (TaskState.RUNNING, Trigger.FAIL): TaskState.FAILED,
    (TaskState.RUNNING, Trigger.RETRY): TaskState.QUEUED,
    (TaskState.RUNNING, Trigger.GIVE_UP): TaskState.FAILED,
    (TaskState.RUNNING, Trigger.CANCEL): TaskState.CANCELLING,
    (TaskState.RUNNING, Trigger.SUSPEND): TaskState.WAITING,
    (TaskState.RUNNING, Trigger.RETURN): TaskState.QUEUED,
    (TaskState.WAITING, Trigger.RESUME): TaskState.QUEUED,
    (TaskState.WAITING, Trigger.EXPIRE): TaskState.FAILED,
    (TaskState.WAITING, Trigger.CANCEL): TaskState.CANCELLING,
    (TaskState.WAITING, Trigger.CONCLUDE): TaskState.SUCCEEDED,
    (TaskState.WAITING, Trigger.GIVE_UP): TaskState.FAILED,
    (TaskState.CANCELLING, Trigger.CANCEL): TaskState.CANCELLING,
    (TaskState.CANCELLING, Trigger.RESULT): TaskState.SUCCEEDED,
    (TaskState.CANCELLING, Trigger.FAIL): TaskState.FAILED,
    (TaskState.CANCELLING, Trigger.STOPPED): TaskState.CANCELLED,
    (TaskState.CANCELLING, Trigger.STAND_DOWN): TaskState.CANCELLING,
    (TaskState.CANCELLING, Trigger.RETRY): TaskState.CANCELLED,
    (TaskState.CANCELLING, Trigger.RETURN): TaskState.CANCELLED,
    (TaskState.CANCELLING, Trigger.GIVE_UP): TaskState.CANCELLED,
}
TERMINAL = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED})
HELD = frozenset({TaskState.RUNNING, TaskState.CANCELLING})  # an agent has a lease on it
# Ends that the agent itself announces: they keep its epoch, and have its event's cursor.
BY_AGENT = frozenset({Trigger.RESULT, Trigger.FAIL, Trigger.STOPPED})
# They end a lease without using an attempt up.
UNUSED = frozenset({Trigger.SUSPEND, Trigger.RETURN})


@dataclass(frozen=True, slots=True)
class Life:
    """What transitions depend on, and change."""

    state: TaskState
    epoch: int
    attempt: int
    max_attempts: int

    @property
    def is_over(self) -> bool:
        return self.state in TERMINAL


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a failed attempt is followed by another, and after which pause.

    The pause is `first_seconds`, each time `factor` times as long, at most `longest_seconds`; the
    share `jitter` of it is chance. After an error with a code of `not_on` there is no other.
    """

    max_attempts: int | None = None  # None: the setting
    first_seconds: float = 1.0
    longest_seconds: float = 60.0
    factor: float = 2.0
    jitter: float = 0.5
    not_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """What somebody wants done. `capability` or `agent_id` says by whom; both: that agent by that.

    Time-outs are in seconds, None takes the setting. `affinity_key` brings tasks of one kind (say,
    a conversation) to the same agent while it is free. `input` is plain JSON.
    """

    input: Any
    capability: str = ""
    agent_id: uuid.UUID | None = None
    priority: Priority = Priority.NORMAL
    idempotency_key: str | None = None
    queue_timeout_seconds: float | None = None
    run_timeout_seconds: float | None = None
    progress_timeout_seconds: float | None = None
    max_attempts: int | None = None
    affinity_key: str | None = None
    delay_seconds: float | None = None  # not before so long after the submit
    run_at: datetime | None = None  # not before this moment
    deadline_seconds: float | None = None  # for the whole: every attempt and every wait
    retry: RetryPolicy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChild:
    """A task to submit for another, under a name of its own in that.

    `detached`: it goes on when its parent has ended or was cancelled.
    """

    name: str
    task: NewTask
    detached: bool = False


class TaskProblem(msgspec.Struct, frozen=True):
    """Why a task failed: a short word for programs, a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as the database has it. In lists `input` and `result` are None: they can be large."""

    id: TaskId
    queue: QueueName
    capability: str
    agent_id: uuid.UUID | None
    agent_name: str
    state: TaskState
    priority: Priority
    attempt: int
    max_attempts: int
    epoch: int
    input: Any
    result: Any
    error: TaskProblem | None
    usage: dict[str, Any] | None
    user_id: uuid.UUID
    affinity_key: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    run_after: datetime | None = None  # it may not run before
    deadline: datetime | None = None
    retry: RetryPolicy | None = None
    replay_of: TaskId | None = None
    parent_id: TaskId | None = None  # the task whose child it is
    replayed_as: TaskId | None = None
    is_repeated: bool = False  # an earlier submit with the same idempotency key made it

    @property
    def life(self) -> Life:
        return Life(self.state, self.epoch, self.attempt, self.max_attempts)


class StepKind(StrEnum):
    EFFECT = "effect"
    CHILD = "child"
    QUESTION = "question"
    TIMER = "timer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a task does once and for all, under a name of its own within the task.

    `settled_at` is None until it has an outcome: `output`, or `error` if it ended otherwise.
    """

    name: str
    kind: StepKind
    output: Any
    error: TaskProblem | None
    child_id: uuid.UUID | None
    approval_id: uuid.UUID | None
    due_at: datetime | None
    epoch: int  # of the lease under which it began
    created_at: datetime
    settled_at: datetime | None
    fingerprint: str  # of what was asked for; empty where nothing was noted


class ApprovalKind(StrEnum):
    APPROVE = "approve"  # yes or no
    ASK = "ask"  # an answer


class ApprovalState(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    ANSWERED = "answered"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"  # the task was over before


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A question of a task to people. `data` is exactly what is approved, `data_hash` binds to it.

    `choices` are the answers that an ASK takes; none: any.
    """

    id: uuid.UUID
    task_id: TaskId
    user_id: uuid.UUID  # whose task it is
    name: str
    kind: ApprovalKind
    question: str
    data: Any
    data_hash: str
    choices: list[str]
    state: ApprovalState
    answer: Any
    comment: str
    answered_by: str | None
    answered_at: datetime | None
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a task stands in its tree."""

    parent_id: uuid.UUID | None
    root_id: uuid.UUID
    depth: int
    child_name: str | None
    detached: bool

    @classmethod
    def alone(cls, task_id: uuid.UUID) -> "Place":
        return cls(parent_id=None, root_id=task_id, depth=0, child_name=None, detached=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeNode:
    """One task of a tree; `name` is its name in its parent, empty for a root."""

    id: TaskId
    parent_id: uuid.UUID | None
    name: str
    depth: int
    detached: bool
    capability: str
    state: TaskState
    attempt: int
    agent_name: str
    error: TaskProblem | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """Who has asked a tree to stop, and how far that is. `top_id`: where that was said."""

    top_id: uuid.UUID
    requested_at: datetime
    requested_by: str
    reason: str
    tasks: int
    stopping: int
    last_at: datetime | None  # when the last of those that are over ended


How = Literal["acknowledged", "fenced", "not_running", "ended_itself", "stopping", "detached"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """How one task of a cancelled tree came to its end.

    `how`: acknowledged (its agent said that it stopped), fenced (its lease was taken back, `code`
    says why), not_running, ended_itself (a result or failure came first), stopping (not over yet),
    detached (was not asked to stop). `refused_writes` came from its agent when its lease was over.
    Of a fenced run, `stopped_at` is when its agent said that it had stopped, and `last_heard_at`
    when it last spoke of it: without these nobody knows how long the process ran on.
    """

    id: TaskId
    parent_id: uuid.UUID | None
    depth: int
    capability: str
    agent_name: str
    state: TaskState
    requested_at: datetime | None
    stopped_at: datetime | None
    fenced_at: datetime | None
    last_heard_at: datetime | None
    how: How
    code: str
    refused_writes: int
    last_refused_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitsFor:
    """What a waiting task waits for: all of the steps, or any one; at the latest `until`.

    Of `count` names those that have no outcome yet, as many as a page shows.
    """

    any: bool
    until: datetime | None
    count: int
    names: list[str]
    child_ids: list[uuid.UUID]
    approval_ids: list[uuid.UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One lease that a task had."""

    attempt: int
    epoch: int
    agent_id: uuid.UUID
    agent_name: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error: TaskProblem | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSnapshot:
    """What a reader needs who has seen nothing: the state and the text so far, up to `cursor`."""

    task: Task
    text: str
    cursor: str


class Why(msgspec.Struct, frozen=True):
    """Why a task does not run, or what it does: a code for programs, a sentence for people."""

    code: str
    message: str
    parameters: dict[str, Any]

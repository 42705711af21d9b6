"""Child tasks: submitted by a run in its own name, all or none, and recognised by their names."""

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from orchestra_protocol import agent_pb2 as pb

from orchestra.features import agents
from orchestra.features.tasks import events
from orchestra.features.tasks.errors import (
    BadCommand,
    Cycle,
    NameTaken,
    StepChanged,
    TooDeep,
    TooMany,
)
from orchestra.features.tasks.repository import families, submitting
from orchestra.features.tasks.repository import steps as step_rows
from orchestra.features.tasks.repository.ending import Locked
from orchestra.features.tasks.repository.families import Adopted, Parent
from orchestra.features.tasks.repository.steps import Known
from orchestra.features.tasks.repository.submitting import PreparedTask
from orchestra.features.tasks.service import references, values
from orchestra.features.tasks.service.announcing import tell_of_waiting
from orchestra.features.tasks.service.orchestration import fingerprints
from orchestra.features.tasks.service.orchestration.steps import check_name
from orchestra.features.tasks.service.submitting.validation import prepare, queue_of
from orchestra.features.tasks.types import (
    Life,
    NewChild,
    NewTask,
    Priority,
    QueueName,
    StepKind,
    TaskId,
    TaskState,
)
from orchestra.foundation.auth import Actor, ActorKind, Role
from orchestra.foundation.database import Transaction
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.messaging import Bus, Message
from orchestra.foundation.settings import Settings

MOST_AT_ONCE = 1_000
FIRST_EPOCH = 1
KEY_BYTES = 16


Reserve = Callable[[Mapping[QueueName, int]], None]


async def spawn(
    tx: Transaction,
    bus: Bus,
    settings: Settings,
    task: Locked,
    children: Sequence[NewChild],
    *,
    reserve: Reserve | None = None,
) -> list[TaskId]:
    """Submits children of a task whose row is locked; those that it has already are the same again.

    They run as the task's own user and inherit its priority. `reserve` raises when there is no room
    for those that are new. Raises NameTaken, StepChanged, TooMany, TooDeep, Cycle, or what is wrong
    with a task.
    """
    names = [child.name for child in children]
    known = await step_rows.named(tx, task.id, names)
    for child in children:
        if (step := known.get(child.name)) is not None:
            _check_same(step, child)
    ids = {name: TaskId(step.child_id) for name, step in known.items() if step.child_id}
    fresh = [child for child in children if child.name not in ids]
    if fresh:
        ids |= await _submit(tx, bus, settings, task, fresh, reserve)
    return [ids[name] for name in names]


def _check_same(known: Known, child: NewChild) -> None:
    """A name is that of one piece of work; of children of older versions it is not known which."""
    if known.kind is not StepKind.CHILD:
        raise NameTaken
    new = child.task
    work = fingerprints.of_work(queue_of(new), new.capability, new.input)
    if known.fingerprint not in ("", work.hex()):
        raise StepChanged(child.name, differs="its capability, agent or input")


async def _submit(
    tx: Transaction,
    bus: Bus,
    settings: Settings,
    task: Locked,
    fresh: Sequence[NewChild],
    reserve: Reserve | None,
) -> dict[str, TaskId]:
    parent = await families.parent(tx, task.id)
    if parent is None or parent.depth >= settings.max_task_depth:
        raise TooDeep(f"A tree of tasks is at most {settings.max_task_depth} levels deep.")
    if await step_rows.count(tx, task.id, children=True) + len(fresh) > settings.max_children:
        raise TooMany(f"A task has at most {settings.max_children} children.")
    lineage = [*parent.lineage, *_own_key(task, parent)]
    prepared = _in_order([await _named(tx, settings, task, child, lineage) for child in fresh])
    if reserve is not None:
        reserve(Counter(ready.queue for ready in prepared))
    await submitting.insert(tx, prepared)
    await references.of_inputs(tx, prepared, parent_id=task.id)
    adopted = [
        Adopted(ready.id, child.name, child.detached)
        for ready, child in zip(prepared, fresh, strict=True)
    ]
    await families.adopt(tx, parent, adopted, lineage=lineage)
    await step_rows.begin_children(
        tx, task.id, task.life.epoch, [(child.name, child.id) for child in adopted]
    )
    await families.want_finish(tx, task.id)
    tx.after_commit(lambda: _announce(bus, parent, prepared))
    return {child.name: child.id for child in adopted}


def _in_order(prepared: Sequence[PreparedTask]) -> list[PreparedTask]:
    """With ids in the order of the children: those of one millisecond have none."""
    ordered = sorted(ready.id for ready in prepared)
    return [replace(ready, id=id) for ready, id in zip(prepared, ordered, strict=True)]


async def _named(
    tx: Transaction, settings: Settings, task: Locked, child: NewChild, lineage: Sequence[bytes]
) -> PreparedTask:
    """What is wrong with one of many says with which."""
    try:
        return await _prepare(tx, settings, task, child, lineage)
    except OrchestraError as error:
        raise error.of(f"The child {child.name!r}") from error


async def _prepare(
    tx: Transaction, settings: Settings, task: Locked, child: NewChild, lineage: Sequence[bytes]
) -> PreparedTask:
    new = child.task
    if new.agent_id is not None:
        by = await agents.addressed(tx, _as_user(task), new.agent_id, new.capability)
        new = replace(new, capability=by)
    ready = prepare(new, task.user_id, settings, wants_finish=True)
    work = fingerprints.of_work(ready.queue, ready.capability, new.input)
    if work[:KEY_BYTES] in lineage:
        raise Cycle
    # The wish, in which an agent's only capability need not be named.
    wish = fingerprints.of_work(ready.queue, child.task.capability, new.input)
    return replace(ready, request_hash=wish)


async def _announce(bus: Bus, parent: Parent, prepared: Sequence[PreparedTask]) -> None:
    """Permits and first events; what gets lost of them is found by the sweeps."""
    messages = _permits(prepared)
    for ready in prepared:
        life = Life(TaskState.QUEUED, FIRST_EPOCH, 0, ready.max_attempts)
        subject = events.Subject(
            task_id=ready.id, user_id=ready.user_id, capability=ready.capability
        )
        messages.extend(events.status(subject, life))
    await tell_of_waiting(bus, prepared)
    await bus.publish_soon(*messages)


def _permits(prepared: Sequence[PreparedTask]) -> list[Message]:
    """One for each queue and priority, named after the first task in it."""
    counts = Counter((ready.queue, ready.priority) for ready in prepared)
    first = {(ready.queue, ready.priority): ready.id for ready in reversed(prepared)}
    return [
        events.permit(queue, priority, first[queue, priority], FIRST_EPOCH, count)
        for (queue, priority), count in counts.items()
    ]


def from_wire(command: pb.Spawn, task: Locked) -> list[NewChild]:
    """What the command asks for; raises BadCommand."""
    if not 1 <= len(command.children) <= MOST_AT_ONCE:
        raise BadCommand(f"1 to {MOST_AT_ONCE} children are spawned at once.")
    names = {check_name(child.name) for child in command.children}
    if len(names) < len(command.children):
        raise BadCommand("Each child has a name of its own.")
    return [_new_child(child, task.priority) for child in command.children]


def _new_child(child: pb.Child, inherited: Priority) -> NewChild:
    try:
        given = values.from_value(child.input)
        agent_id = uuid.UUID(child.agent_id) if child.agent_id else None
        priority = Priority(child.priority) if child.HasField("priority") else inherited
    except ValueError as error:
        raise BadCommand(f"The child {child.name!r} cannot be understood: {error}") from error
    task = NewTask(
        input=given,
        capability=child.capability,
        agent_id=agent_id,
        priority=priority,
        max_attempts=child.max_attempts or None,
        queue_timeout_seconds=child.queue_timeout_seconds or None,
        run_timeout_seconds=child.run_timeout_seconds or None,
        progress_timeout_seconds=child.progress_timeout_seconds or None,
        affinity_key=child.affinity_key or None,
        delay_seconds=child.delay_seconds or None,
    )
    return NewChild(name=child.name, task=task, detached=child.detached)


def _as_user(task: Locked) -> Actor:
    """A task may ask for those agents that its user may see."""
    return Actor(
        kind=ActorKind.RUN,
        id=str(task.id),
        name="",
        user_id=task.user_id,
        role=Role.MEMBER,
        permissions=frozenset(),
    )


def _own_key(task: Locked, parent: Parent) -> list[bytes]:
    """None of a task that no agent runs: it only bears its capability's name."""
    if task.life.attempt == 0:
        return []
    return [fingerprints.of_work(parent.queue, parent.capability, parent.input)[:KEY_BYTES]]

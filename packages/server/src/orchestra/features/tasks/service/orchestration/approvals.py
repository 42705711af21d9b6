"""People in the loop: a task asks, a person who may answers, bound to exactly what was asked."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec
from orchestra_protocol import agent_pb2 as pb

from orchestra.features import audit
from orchestra.features.events import Outbox
from orchestra.features.identity import user_names
from orchestra.features.tasks import events
from orchestra.features.tasks.errors import (
    ApprovalChanged,
    ApprovalClosed,
    ApprovalNotFound,
    BadCommand,
    NameTaken,
    StepChanged,
    TooMany,
)
from orchestra.features.tasks.repository import approvals as repository
from orchestra.features.tasks.repository import ending, families
from orchestra.features.tasks.repository import steps as step_rows
from orchestra.features.tasks.repository.approvals import ApprovalFilter, NewApproval
from orchestra.features.tasks.repository.ending import Locked
from orchestra.features.tasks.repository.steps import Known
from orchestra.features.tasks.service import values
from orchestra.features.tasks.service.orchestration import fingerprints
from orchestra.features.tasks.service.orchestration.steps import check_name
from orchestra.features.tasks.service.orchestration.suspending import wake
from orchestra.features.tasks.types import (
    Approval,
    ApprovalKind,
    ApprovalState,
    TaskId,
    TaskProblem,
    TaskState,
)
from orchestra.foundation import ids
from orchestra.foundation.auth import SYSTEM, Actor, ActorKind
from orchestra.foundation.database import Transaction, without_nul
from orchestra.foundation.errors import FieldError, Forbidden, InvalidInput
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

LONGEST_QUESTION, LONGEST_CHOICE, MOST_CHOICES = 4_000, 200, 50
# Every later run is told it; what is larger is no answer but an input.
LARGEST_ANSWER_BYTES = 16 * 1024
NOT_WANTED = "Its task is over, or is being cancelled."
EXPIRED = TaskProblem("approval_expired", "Nobody has answered in time.")
_KINDS = {pb.ASK_KIND_APPROVE: ApprovalKind.APPROVE, pb.ASK_KIND_ASK: ApprovalKind.ASK}
_NOT_PEOPLE = frozenset({ActorKind.AGENT, ActorKind.RUN, ActorKind.SYSTEM})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person says. `data_hash` names what the person has seen."""

    approved: bool
    data_hash: str
    answer: str | None = None
    comment: str = ""


async def ask(
    tx: Transaction, outbox: Outbox, settings: Settings, task: Locked, wanted: pb.Ask
) -> tuple[uuid.UUID, str]:
    """Writes a question down, of a task whose row is locked; its id and hash.

    The same name again must be the same question. Raises BadCommand, NameTaken, StepChanged or
    TooMany.
    """
    known = (await step_rows.named(tx, task.id, [check_name(wanted.name)])).get(wanted.name)
    new = _to_new(task, wanted, settings)
    if known is not None:
        return _same(known, new), known.fingerprint
    if await step_rows.count(tx, task.id, children=False) >= settings.max_steps:
        raise TooMany
    await repository.insert(tx, new)
    await step_rows.begin_question(tx, task.id, task.life.epoch, wanted.name, new.id)
    await families.want_finish(tx, task.id)
    if (asked := await repository.get(tx, new.id)) is not None:
        await outbox.add(tx, events.approval("approval.asked", asked))
    return new.id, new.data_hash


async def visible(tx: Transaction, actor: Actor, approval_id: uuid.UUID) -> Approval:
    """One that the actor may see: of its own task, or any for an administrator."""
    found = await repository.get(tx, approval_id)
    if found is None or not (actor.is_admin or found.user_id == actor.user_id):
        raise ApprovalNotFound
    return found


async def find(tx: Transaction, actor: Actor, wanted: ApprovalFilter) -> list[Approval]:
    """One page of what the actor may see, and one more if there is one; newest first."""
    return await repository.find(
        tx, replace(wanted, user_id=None if actor.is_admin else actor.owner)
    )


async def answer(
    tx: Transaction, outbox: Outbox, bus: Bus, actor: Actor, approval_id: uuid.UUID, said: Answer
) -> Approval:
    """Takes a person's answer, the first one; the task goes on with it.

    Raises ApprovalNotFound, Forbidden for programs, ApprovalChanged for another hash, InvalidInput,
    or ApprovalClosed after another answer, after its time, and after the task's end.
    """
    asked = await visible(tx, actor, approval_id)
    if actor.kind in _NOT_PEOPLE:
        raise Forbidden("A person answers this, not a program in a task's name.")
    locked = (await ending.lock(tx, [asked.task_id])).get(asked.task_id)
    asked = await visible(tx, actor, approval_id)  # as whoever was first has left it
    if (why := _why_closed(asked)) is not None:
        raise ApprovalClosed(why)
    if locked is None or locked.life.is_over or locked.life.state is TaskState.CANCELLING:
        raise ApprovalClosed(NOT_WANTED)
    if said.data_hash != asked.data_hash:
        raise ApprovalChanged
    content = _checked(asked, said)
    closed = await _close(tx, asked, said, content, by=await _name(tx, actor))
    await wake(tx, outbox, bus, [asked.task_id])
    await outbox.add(tx, events.approval("approval.closed", closed))
    await _record(tx, actor, closed)
    return closed


def _why_closed(asked: Approval) -> str | None:
    """What has become of a question that nobody can answer any more."""
    if asked.state is ApprovalState.OPEN:
        return None
    if asked.state is ApprovalState.EXPIRED:
        return f"It expired at {_moment(asked.expires_at)}."
    if asked.answered_at is None:
        return NOT_WANTED
    return f"It was {asked.state} by {asked.answered_by} at {_moment(asked.answered_at)}."


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


async def _close(
    tx: Transaction, asked: Approval, said: Answer, content: object, *, by: str
) -> Approval:
    """Writes the answer, and what the task gets of it."""
    closed = await repository.close(
        tx,
        asked.id,
        _state(asked, said),
        answer_json=msgspec.json.encode(content),
        comment=said.comment,
        by=by,
    )
    if closed is None:
        raise ApprovalClosed
    output = {"approved": said.approved, "answer": content, "by": by, "comment": said.comment}
    await step_rows.settle_question(
        tx, asked.id, asked.task_id, output_json=msgspec.json.encode(output)
    )
    return closed


async def expire(tx: Transaction, outbox: Outbox, bus: Bus, *, limit: int) -> int:
    """Closes one batch of questions whose time is over, by the database's clock."""
    tasks = await repository.overdue(tx, limit=limit)
    if not tasks:
        return 0
    await ending.lock(tx, tasks)
    closed = await repository.expire(tx, tasks)
    for item in closed:
        problem = msgspec.json.encode(EXPIRED)
        await step_rows.settle_question(tx, item.id, item.task_id, error_json=problem)
    await wake(tx, outbox, bus, tasks)
    await _tell_closed(tx, outbox, closed)
    return len(closed)


async def withdraw(tx: Transaction, outbox: Outbox, tasks: Sequence[TaskId]) -> None:
    """Closes the questions of tasks that are over."""
    await _tell_closed(tx, outbox, await repository.withdraw(tx, tasks))


async def _tell_closed(tx: Transaction, outbox: Outbox, closed: Sequence[Approval]) -> None:
    if not closed:
        return
    await outbox.add(tx, *(events.approval("approval.closed", item) for item in closed))
    for item in closed:
        await _record(tx, SYSTEM, item)


async def _record(tx: Transaction, actor: Actor, item: Approval) -> None:
    await audit.record(
        tx,
        actor,
        f"approval.{item.state}",
        target_kind="approval",
        target_id=item.id,
        details={"task_id": item.task_id, "data_hash": item.data_hash, "comment": item.comment},
    )


def _same(known: Known, new: NewApproval) -> uuid.UUID:
    """The question that was asked under this name, if it is this one."""
    if known.approval_id is None:
        raise NameTaken
    if known.fingerprint != new.data_hash:
        raise StepChanged(new.name, differs="what it asks, its data or its choices")
    return known.approval_id


def _to_new(task: Locked, wanted: pb.Ask, settings: Settings) -> NewApproval:
    if not 1 <= len(wanted.question) <= LONGEST_QUESTION:
        raise BadCommand(f"A question has 1 to {LONGEST_QUESTION} characters.")
    longest = settings.max_approval_seconds
    seconds = wanted.ttl_seconds if wanted.HasField("ttl_seconds") else longest
    if not 0 < seconds <= longest:
        raise BadCommand(f"A question waits more than 0 and at most {longest:g} seconds.")
    choices = list(wanted.choices)
    if len(choices) > MOST_CHOICES or any(not 1 <= len(c) <= LONGEST_CHOICE for c in choices):
        raise BadCommand(f"At most {MOST_CHOICES} choices of 1 to {LONGEST_CHOICE} characters.")
    try:
        content = values.from_value(wanted.data)
    except values.TooDeep as error:
        raise BadCommand("The data is nested too deeply.") from error
    data_json = msgspec.json.encode(content)
    if len(data_json) > settings.max_task_input_bytes:
        raise BadCommand(f"The data of a question has {settings.max_task_input_bytes} bytes.")
    kind = _KINDS[wanted.kind]
    return NewApproval(
        id=ids.new_id(),
        task_id=task.id,
        user_id=task.user_id,
        name=wanted.name,
        kind=kind,
        question=wanted.question,
        data_json=data_json,
        data_hash=fingerprints.of_question(kind, wanted.question, content, choices),
        choices=choices,
        seconds=seconds,
    )


def _checked(asked: Approval, said: Answer) -> str | None:
    """The answer as it is kept, a text; None to a yes or no."""
    if asked.kind is ApprovalKind.APPROVE or not said.approved:
        return None
    text = without_nul(said.answer or "")
    if asked.choices and text not in asked.choices:
        raise _wrong(f"one of: {', '.join(asked.choices)}")
    if not 1 <= (size := len(text.encode())) <= LARGEST_ANSWER_BYTES:
        raise _wrong(f"a text of 1 to {LARGEST_ANSWER_BYTES} bytes, not of {size}")
    return text


def _wrong(message: str) -> InvalidInput:
    return InvalidInput(f"answer: {message}", fields=[FieldError("answer", message)])


def _state(asked: Approval, said: Answer) -> ApprovalState:
    if not said.approved:
        return ApprovalState.REJECTED
    is_ask = asked.kind is ApprovalKind.ASK
    return ApprovalState.ANSWERED if is_ask else ApprovalState.APPROVED


async def _name(tx: Transaction, actor: Actor) -> str:
    """The person's name, whatever the key is called."""
    names = await user_names(tx, [actor.owner])
    return names.get(actor.owner, actor.name)

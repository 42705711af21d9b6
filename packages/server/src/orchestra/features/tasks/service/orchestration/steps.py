"""Durable steps: what a run keeps for good, and what the next lease of its task is told of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from google.protobuf.struct_pb2 import Value
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.tasks.errors import (
    BadCommand,
    NameTaken,
    OutcomeTooLarge,
    StepsTooLarge,
    TooMany,
)
from orchestra.features.tasks.repository import dead_letters, reading
from orchestra.features.tasks.repository import steps as repository
from orchestra.features.tasks.repository.claiming import Claim
from orchestra.features.tasks.repository.steps import Save
from orchestra.features.tasks.service import references, values
from orchestra.features.tasks.service.sizes import (
    ENVELOPE_BYTES,
    most_bytes,
    too_large_result,
)
from orchestra.features.tasks.service.values import TooDeep, from_value, to_value
from orchestra.features.tasks.types import Step, StepKind, TaskId
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.settings import Settings

LONGEST_NAME = 200
# Of a step around its name and output, and of the list it is in.
STEP_BYTES = 24
# Of an output that is told again: a value of no kind has no byte, and comes back as null with two.
MOST_GROWTH = 2
# Of the first lease: submit 1, claim 2. Later ones may find steps.
FIRST_CLAIM = 2
_KINDS = {
    StepKind.EFFECT: pb.STEP_KIND_EFFECT,
    StepKind.CHILD: pb.STEP_KIND_CHILD,
    StepKind.QUESTION: pb.STEP_KIND_QUESTION,
    StepKind.TIMER: pb.STEP_KIND_TIMER,
}


@dataclass(frozen=True, slots=True)
class Earlier:
    """What earlier leases of a task have done, and which task it does again, if it does."""

    steps: Sequence[Step] = ()
    first_id: TaskId | None = None


def check_name(name: str) -> str:
    """Raises BadCommand for what cannot name a step."""
    if not 1 <= len(name) <= LONGEST_NAME:
        raise BadCommand(f"The name of a step has 1 to {LONGEST_NAME} characters.")
    return name


def to_save(task_id: TaskId, epoch: int, command: pb.SaveStep, settings: Settings) -> Save:
    """What to keep of an effect; raises BadCommand for what cannot be kept."""
    json = _read(command.output)
    output = msgspec.json.encode(json)
    if said := too_large_result(json, len(output), settings):
        raise BadCommand(f"The output of the step {command.name!r} {said}")
    return Save(task_id, epoch, check_name(command.name), output)


def _read(output: Value) -> Any:
    try:
        return from_value(output)
    except TooDeep as error:
        raise BadCommand("The output is nested too deeply.") from error


async def save(
    tx: Transaction, saves: Sequence[Save], settings: Settings
) -> dict[TaskId, OrchestraError | None]:
    """Keeps one effect for each of several tasks, whose rows are locked; says what was refused.

    The same name again keeps what is there.
    """
    refused = await references.refused(tx, [(item.task_id, item.output_json) for item in saves])
    good = [item for item in saves if item.task_id not in refused]
    kept = await repository.save(tx, good, most=settings.max_steps)
    outcomes: dict[TaskId, OrchestraError | None] = {**dict.fromkeys(kept), **refused}
    for item in good:
        if item.task_id not in kept:
            outcomes[item.task_id] = await _why_not(tx, item)
    return outcomes


async def _why_not(tx: Transaction, item: Save) -> OrchestraError | None:
    known = (await repository.named(tx, item.task_id, [item.name])).get(item.name)
    if known is None:
        return TooMany()
    return None if known.kind is StepKind.EFFECT else NameTaken()


async def of_claims(database: Database, claims: Sequence[Claim]) -> Mapping[TaskId, Earlier]:
    """What was done for the tasks before; nothing is asked for tasks without any."""
    replays = [claim.id for claim in claims if claim.replay_of is not None]
    again = [claim.id for claim in claims if claim.epoch > FIRST_CLAIM or claim.replay_of]
    if not again:
        return {}
    async with database.transaction() as tx:
        done = await repository.settled(tx, again)
        first = await dead_letters.first_of(tx, replays) if replays else {}
    return {task_id: Earlier(done.get(task_id, ()), first.get(task_id)) for task_id in again}


def to_wire(steps: Sequence[Step]) -> list[pb.Step]:
    """Settled steps as an agent gets them."""
    return [_to_wire(step) for step in steps]


def must_be_told(step: Step) -> bool:
    """An effect that a run is not told of would be done again; the rest it can ask for."""
    return step.kind is StepKind.EFFECT


def fitting(steps: Sequence[Step], room: int) -> list[pb.Step]:
    """The first of the steps, as many as `room` bytes hold."""
    fit: list[pb.Step] = []
    for step in steps:
        wire = _to_wire(step)
        room -= wire.ByteSize() + STEP_BYTES
        if room < 0:
            break
        fit.append(wire)
    return fit


def resumed(there: Sequence[Step], settings: Settings) -> pb.Resumed:
    """As many of the outcomes as a message holds: the agent asks again for those it misses.

    Raises OutcomeTooLarge for one that is larger than a message.
    """
    room = settings.max_grpc_message_bytes - ENVELOPE_BYTES
    fit = fitting(there, room)
    if there and not fit:
        size = _to_wire(there[0]).ByteSize()
        raise OutcomeTooLarge(
            f"The outcome of {there[0].name!r} has {size} bytes on the stream; {room} are possible."
        )
    return pb.Resumed(steps=fit)


async def check_size(
    database: Database, settings: Settings, task_id: TaskId, command: pb.SaveStep, carried: int
) -> int:
    """What later leases have to be told with this effect, too, in bytes.

    `carried` is what they have to be told already, or more than that: where it seems too much, the
    database is asked. Raises StepsTooLarge, or BadCommand for what cannot be read.
    """
    around, most = len(command.name) * 4 + STEP_BYTES, most_bytes(settings)
    if (bound := carried + around + MOST_GROWTH * command.output.ByteSize()) <= most:
        return bound
    size = around + values.size(_read(command.output))
    async with database.transaction() as tx:
        task = await reading.get(tx, task_id)
        effects = [
            step
            for step in (await repository.settled(tx, [task_id])).get(task_id, [])
            if must_be_told(step)
        ]
    message = pb.Assignment(steps=to_wire(effects))
    to_value(task.input if task else None, message.input)
    carried = message.ByteSize()
    if command.name in {step.name for step in effects}:  # it comes again
        return carried
    if carried + size > most:
        raise StepsTooLarge(
            f"The input and the steps of the task have {carried} bytes on the stream; with "
            f"{command.name!r} they would have {carried + size}, and {most} are possible. Put what "
            "is large into a blob, and its address into the step."
        )
    return carried + size


def _to_wire(step: Step) -> pb.Step:
    wire = pb.Step(name=step.name, kind=_KINDS[step.kind], fingerprint=step.fingerprint)
    if step.child_id is not None:
        wire.task_id = str(step.child_id)
    if step.error is not None:
        wire.failure.code, wire.failure.message = step.error.code, step.error.message
    else:
        to_value(step.output, wire.output)
    return wire

"""Durable steps: what a run keeps for good, and what the next lease of its task is told of it."""

from collections.abc import Mapping, Sequence

import msgspec
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.tasks.errors import BadCommand, NameTaken, TooMany
from orchestra.features.tasks.repository import steps as repository
from orchestra.features.tasks.repository.claiming import Claim
from orchestra.features.tasks.repository.steps import Save
from orchestra.features.tasks.service import references
from orchestra.features.tasks.service.values import TooDeep, from_value, to_value
from orchestra.features.tasks.types import Step, StepKind, TaskId
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.settings import Settings

LONGEST_NAME = 200
# Of the first lease: submit 1, claim 2. Later ones may find steps.
FIRST_CLAIM = 2
_KINDS = {
    StepKind.EFFECT: pb.STEP_KIND_EFFECT,
    StepKind.CHILD: pb.STEP_KIND_CHILD,
    StepKind.QUESTION: pb.STEP_KIND_QUESTION,
    StepKind.TIMER: pb.STEP_KIND_TIMER,
}


def check_name(name: str) -> str:
    """Raises BadCommand for what cannot name a step."""
    if not 1 <= len(name) <= LONGEST_NAME:
        raise BadCommand(f"The name of a step has 1 to {LONGEST_NAME} characters.")
    return name


def to_save(task_id: TaskId, epoch: int, command: pb.SaveStep, settings: Settings) -> Save:
    """What to keep of an effect; raises BadCommand for what cannot be kept."""
    try:
        output = msgspec.json.encode(from_value(command.output))
    except TooDeep as error:
        raise BadCommand("The output is nested too deeply.") from error
    if len(output) > settings.max_task_result_bytes:
        raise BadCommand(
            f"The output of the step {command.name!r} has {len(output)} bytes as JSON; "
            f"{settings.max_task_result_bytes} are allowed."
        )
    return Save(task_id, epoch, check_name(command.name), output)


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


async def of_claims(database: Database, claims: Sequence[Claim]) -> Mapping[TaskId, list[Step]]:
    """What the tasks' earlier leases have done; nothing is asked for tasks without any."""
    again = [claim.id for claim in claims if claim.epoch > FIRST_CLAIM]
    if not again:
        return {}
    async with database.transaction() as tx:
        return await repository.settled(tx, again)


def to_wire(steps: Sequence[Step]) -> list[pb.Step]:
    """Settled steps as an agent gets them."""
    return [_to_wire(step) for step in steps]


def _to_wire(step: Step) -> pb.Step:
    wire = pb.Step(name=step.name, kind=_KINDS[step.kind])
    if step.child_id is not None:
        wire.task_id = str(step.child_id)
    if step.error is not None:
        wire.failure.code, wire.failure.message = step.error.code, step.error.message
    else:
        to_value(step.output, wire.output)
    return wire

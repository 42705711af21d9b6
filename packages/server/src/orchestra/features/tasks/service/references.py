"""Keeps the blobs that inputs, steps and results of tasks refer to as long as the tasks.

Nearly no value refers to any: what does pays for itself.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence

from orchestra.features import blobs
from orchestra.features.blobs import Reference, Sha256
from orchestra.features.tasks.errors import UnknownBlob
from orchestra.features.tasks.repository import references as repository
from orchestra.features.tasks.repository.references import Kin
from orchestra.features.tasks.repository.submitting import PreparedTask
from orchestra.features.tasks.types import TaskId
from orchestra.foundation.database import Transaction
from orchestra.foundation.errors import FieldError, InvalidInput


async def of_inputs(
    tx: Transaction, prepared: Iterable[PreparedTask], *, parent_id: uuid.UUID | None = None
) -> None:
    """After the tasks were written; raises UnknownBlob for one that their owner may not use."""
    for task in prepared:
        if task.blobs:
            await _keep(tx, task.id, Kin(task.user_id, parent_id), task.blobs)


async def refused(
    tx: Transaction, values: Iterable[tuple[TaskId, bytes]]
) -> Mapping[TaskId, InvalidInput]:
    """Keeps what results and steps of tasks refer to; says what cannot be kept, and why."""
    wanted = [(task_id, json) for task_id, json in values if blobs.mentions(json)]
    if not wanted:
        return {}
    kin = await repository.kin(tx, [task_id for task_id, _ in wanted])
    problems: dict[TaskId, InvalidInput] = {}
    for task_id, json in wanted:
        try:
            if task_id in kin:
                await _keep(tx, task_id, kin[task_id], blobs.named_in(json))
        except InvalidInput as error:
            problems[task_id] = error
    return problems


async def _keep(tx: Transaction, task_id: TaskId, kin: Kin, names: Sequence[Sha256]) -> None:
    missing = await blobs.unusable(tx, kin.user_id, names)
    if missing:
        said = f"there is no blob {missing[0]}, or its owner is somebody else"
        raise UnknownBlob(f"{said}.", fields=[FieldError("input", said)])
    rows = [
        Reference(task_id=task_id, sha256=name, user_id=kin.user_id, parent_id=kin.parent_id)
        for name in names
    ]
    await blobs.refer(tx, rows)

"""What REST carries about dead letters."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET

from orchestra.features.tasks.repository.dead_letters import DeadGroup
from orchestra.features.tasks.schemas.tasks import ErrorView
from orchestra.features.tasks.service.ends.dead_letters import MOST, Chosen, Replayed
from orchestra.features.tasks.types import TaskId
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.web import Body, View

TaskIds = Annotated[list[uuid.UUID], msgspec.Meta(min_length=1, max_length=MOST)]
Fingerprint = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]


class DeadGroupView(View):
    """Failures of a capability whose error differs in numbers and ids only.

    `error` is that of the newest; `fingerprint` names the group.
    """

    fingerprint: str
    count: int
    error: ErrorView
    capability: str
    newest_id: uuid.UUID
    first_at: datetime
    last_at: datetime


class DiscardRequest(Body):
    """Tasks by their ids, or all of a group by its fingerprint (at most 500 at once)."""

    task_ids: TaskIds | None = None
    fingerprint: Fingerprint | None = None

    def chosen(self) -> Chosen:
        return Chosen(ids=self.task_ids, fingerprint=self.fingerprint)


class ReplayRequest(DiscardRequest):
    """The same; for one task, `input` may be another one."""

    input: Any = UNSET


class ReplayedItem(View):
    task_id: uuid.UUID
    replayed_as: uuid.UUID


class RefusedItem(View):
    """A dead letter that could not be submitted now, and why; it stays one."""

    task_id: uuid.UUID
    error: ErrorView


class ReplayView(View):
    """The new tasks; `remaining` are left of the group, the refused ones among them."""

    items: list[ReplayedItem]
    refused: list[RefusedItem]
    remaining: int


class DiscardView(View):
    discarded: int
    remaining: int


def group_view(group: DeadGroup) -> DeadGroupView:
    return DeadGroupView(
        fingerprint=group.fingerprint,
        count=group.count,
        error=ErrorView(code=group.error.code, message=group.error.message),
        capability=group.capability,
        newest_id=group.newest_id,
        first_at=group.first_at,
        last_at=group.last_at,
    )


def replay_view(replayed: Replayed) -> ReplayView:
    items = [ReplayedItem(task_id=dead, replayed_as=fresh) for dead, fresh in replayed.pairs]
    refused = refused_items(replayed.refused)
    return ReplayView(items=items, refused=refused, remaining=replayed.remaining)


def refused_items(refused: Iterable[tuple[TaskId, OrchestraError]]) -> list[RefusedItem]:
    return [
        RefusedItem(task_id=dead, error=ErrorView(code=error.code, message=error.message))
        for dead, error in refused
    ]

"""What REST carries about a task's place in line, and about many tasks at once."""

import uuid
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orchestra.features.tasks.repository.bulk import BulkFilter
from orchestra.features.tasks.schemas.dead_letters import RefusedItem, refused_items
from orchestra.features.tasks.schemas.tasks import PriorityWord
from orchestra.features.tasks.service.queues.bulk import MOST, BulkAction, Done, Wish
from orchestra.features.tasks.types import Priority, QueueName, TaskState, Why
from orchestra.foundation import timestamps
from orchestra.foundation.errors import FieldError, InvalidInput
from orchestra.foundation.web import Body, View, decode_cursor, encode_cursor

Text = Annotated[str, Meta(min_length=1, max_length=200, pattern="^[^\\x00]+$")]
Moment = Annotated[datetime, Meta(tz=True)]


class WhyView(View):
    """Why a task does not run, or what it does. `parameters` depend on the code."""

    code: str
    message: str
    parameters: dict[str, Any]


class TaskChange(Body):
    priority: PriorityWord


class BulkFilterBody(Body):
    """Which tasks are meant: all that is given has to be so, and something has to be given."""

    ids: Annotated[list[uuid.UUID], Meta(min_length=1, max_length=MOST)] | None = None
    state: list[TaskState] | None = None
    queue: Text | None = None
    capability: Text | None = None
    agent_id: uuid.UUID | None = None
    user_id: uuid.UUID | None = None
    priority: PriorityWord | None = None
    error_code: Text | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None

    def to_filter(self) -> BulkFilter:
        """Raises InvalidInput if nothing is given: that would be every task there is."""
        given: dict[str, Any] = msgspec.structs.asdict(self)
        given["created_after"] = _as_utc(self.created_after, "created_after")
        given["created_before"] = _as_utc(self.created_before, "created_before")
        if all(value is None for value in given.values()):
            said = "say which tasks"
            raise InvalidInput(f"filter: {said}.", fields=[FieldError("filter", said)])
        given["states"] = given.pop("state")
        given["queue"] = QueueName(self.queue) if self.queue else None
        given["priority"] = Priority[self.priority.upper()] if self.priority else None
        return BulkFilter(**given)


class BulkRequest(Body):
    """Cancels tasks, tries those again that failed for good, or gives them another priority."""

    action: BulkAction
    filter: BulkFilterBody
    priority: PriorityWord | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""
    cursor: str | None = None

    def to_wish(self) -> Wish:
        if (self.action is BulkAction.PRIORITY) != (self.priority is not None):
            said = "goes with the action priority"
            raise InvalidInput(f"priority: {said}.", fields=[FieldError("priority", said)])
        return Wish(
            action=self.action,
            filter=self.filter.to_filter(),
            priority=Priority[self.priority.upper()] if self.priority else None,
            reason=self.reason,
            after=decode_cursor(self.cursor, uuid.UUID)[0] if self.cursor else None,
        )


class BulkView(View):
    """So many were meant, so many changed; with `next_cursor` there are more.

    `refused` are those that cannot be submitted again now, each with its reason.
    """

    matched: int
    changed: int
    next_cursor: str | None
    refused: list[RefusedItem]


def _as_utc(moment: datetime | None, field: str) -> datetime | None:
    try:
        return None if moment is None else timestamps.as_utc(moment)
    except ValueError as error:
        said = str(error)
        raise InvalidInput(f"filter.{field}: {said}.", fields=[FieldError(field, said)]) from error


def why_view(why: Why) -> WhyView:
    return WhyView(code=why.code, message=why.message, parameters=why.parameters)


def bulk_view(done: Done) -> BulkView:
    after = done.next_after
    return BulkView(
        matched=done.matched,
        changed=done.changed,
        next_cursor=encode_cursor(str(after)) if after else None,
        refused=refused_items(done.refused),
    )

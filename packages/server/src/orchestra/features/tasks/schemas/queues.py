"""What REST carries about queues, limits and weights."""

import uuid
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from orchestra.features.tasks.repository.limits import Limit, LimitScope
from orchestra.features.tasks.service.queues.queues import QueueState
from orchestra.features.tasks.types import Balancing, QueueName
from orchestra.foundation import ids
from orchestra.foundation.web import Body, View

MAX_NUMBER = 1_000_000_000
MAX_SECONDS = 31 * 86_400.0
Count = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
Days = Annotated[float, Meta(ge=0, le=36_500)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Running = Annotated[int, Meta(ge=1, le=1_000_000)]
Rate = Annotated[float, Meta(ge=0.000_001, le=1_000_000)]
Seconds = Annotated[float, Meta(ge=0.001, le=MAX_SECONDS)]
Weight = Annotated[float, Meta(ge=0.01, le=1_000)]


class QueueView(View):
    """A queue: what is in it, and what was set for it (null: the setting of the installation).

    `waiting` tasks could run now, `delayed` ones may not yet, `limited` ones have to wait for room
    under a limit.
    """

    name: str
    waiting: int
    delayed: int
    limited: int
    running: int
    paused_at: datetime | None
    paused_by: str | None
    max_queued: int | None
    balancing: Balancing | None
    keep_days: float | None
    keep_count: int | None


class QueueChange(Body):
    """What is not given stays as it is; null takes the setting of the installation again."""

    max_queued: Count | UnsetType | None = UNSET
    balancing: Balancing | UnsetType | None = UNSET
    keep_days: Days | UnsetType | None = UNSET
    keep_count: Count | UnsetType | None = UNSET

    def settings(self) -> dict[str, Any]:
        given: dict[str, Any] = msgspec.structs.asdict(self)
        return {name: value for name, value in given.items() if value is not UNSET}


class LimitRequest(Body):
    """At most `max_running` at a time, at most `rate` starts in `per_seconds`, or both.

    Of a whole queue; of one user, or of each user by itself; of tasks with the same value at a
    place of their input (a JSON pointer). Without a queue: across all queues. `burst` starts may
    come at once after a pause, `rate` of them by default.
    """

    scope: LimitScope
    queue: Name | None = None
    user_id: uuid.UUID | None = None
    key_pointer: Annotated[str, Meta(max_length=200)] | None = None
    max_running: Running | None = None
    rate: Rate | None = None
    per_seconds: Seconds | None = None
    burst: Annotated[float, Meta(ge=1, le=1_000_000)] | None = None

    def to_limit(self) -> Limit:
        burst = self.burst or max(1.0, self.rate or 1.0)
        return Limit(
            id=ids.new_id(),
            scope=self.scope,
            queue=QueueName(self.queue) if self.queue else None,
            user_id=self.user_id,
            key_pointer=self.key_pointer,
            key_path=None,
            max_running=self.max_running,
            rate=self.rate,
            per_seconds=self.per_seconds,
            burst=burst if self.rate is not None else None,
        )


class LimitView(View):
    id: uuid.UUID
    scope: LimitScope
    queue: str | None
    user_id: uuid.UUID | None
    key_pointer: str | None
    max_running: int | None
    rate: float | None
    per_seconds: float | None
    burst: float | None
    created_at: datetime | None


class WeightRequest(Body):
    """So many tasks of the user start for one of a user of weight 1."""

    weight: Weight


class WeightView(View):
    """The same; 1 unless it was set."""

    weight: float


def queue_view(state: QueueState) -> QueueView:
    queue, counts = state.queue, state.counts
    return QueueView(
        name=queue.name,
        waiting=counts.waiting,
        delayed=counts.delayed,
        limited=counts.limited,
        running=counts.running,
        paused_at=queue.paused_at,
        paused_by=queue.paused_by,
        max_queued=queue.max_queued,
        balancing=Balancing(queue.balancing) if queue.balancing else None,
        keep_days=queue.keep_days,
        keep_count=queue.keep_count,
    )


def limit_view(limit: Limit) -> LimitView:
    return LimitView(**{name: getattr(limit, name) for name in LimitView.__struct_fields__})

"""Tasks: submit, list, look, cancel, follow."""

import uuid
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler

from orchestra.features.events import FeedResponse, Feeds, Outbox
from orchestra.features.tasks.repository.reading import TaskFilter
from orchestra.features.tasks.schemas import (
    BatchItem,
    BatchRequest,
    BatchView,
    CancelRequest,
    TaskDetail,
    TaskRequest,
    TaskView,
    task_detail,
    task_view,
)
from orchestra.features.tasks.service.orchestration import cancelling
from orchestra.features.tasks.service.reading import looking, reading
from orchestra.features.tasks.service.submitting.addressing import addressed
from orchestra.features.tasks.service.submitting.submit import Submitter
from orchestra.features.tasks.types import TaskState
from orchestra.foundation.auth import Actor, Permission, require
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.web import (
    Page,
    credential_of,
    decode_cursor,
    encode_cursor,
    page_limit,
    policy,
)

AnyRequest = Request[Any, Any, Any]
ActorArg = NamedDependency[Actor]
DatabaseArg = NamedDependency[Database]
SubmitterArg = NamedDependency[Submitter]
IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", max_length=200)]
# Each task of a batch has a key of its own, made from this one.
BatchKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", max_length=190)]
# Called `states` in the function: the framework keeps `state` for itself.
StateQuery = Annotated[list[TaskState] | None, QueryParameter(name="state")]
LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID", max_length=60)]


@post("/api/tasks", opt=policy(require(Permission.TASKS_WRITE)), status_code=202, tags=["tasks"])
async def submit(
    actor: ActorArg,
    database: DatabaseArg,
    submitter: SubmitterArg,
    data: JSONBody[TaskRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[TaskView]:
    """Takes a task in: 202, or 200 with the same task for an idempotency key that was used."""
    (new,) = await addressed(database, actor, [data.to_new(idempotency_key)])
    task = await submitter.submit(actor, new)
    return Response(task_view(task), status_code=200 if task.is_repeated else 202)


@post(
    "/api/tasks/batch", opt=policy(require(Permission.TASKS_WRITE)), status_code=202, tags=["tasks"]
)
async def submit_batch(
    actor: ActorArg,
    database: DatabaseArg,
    submitter: SubmitterArg,
    data: JSONBody[BatchRequest],
    idempotency_key: BatchKey = None,
) -> BatchView:
    """Takes up to a thousand tasks in, all or none; the same ones again for the same key."""
    wanted = [
        item.to_new(f"{idempotency_key}#{place}" if idempotency_key else None)
        for place, item in enumerate(data.tasks)
    ]
    new = await addressed(database, actor, wanted)
    tasks = await submitter.submit_all(actor, new)
    return BatchView(items=[BatchItem(id=task.id, state=task.state) for task in tasks])


@get("/api/tasks", opt=policy(require(Permission.TASKS_READ)), tags=["tasks"])
async def list_tasks(
    actor: ActorArg,
    database: DatabaseArg,
    states: StateQuery = None,
    capability: FromQuery[str | None] = None,
    agent_id: FromQuery[uuid.UUID | None] = None,
    limit: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Page[TaskView]:
    """Your tasks (an administrator's: all), newest first, without inputs and results."""
    wanted = TaskFilter(
        states=states,
        capability=capability,
        agent_id=agent_id,
        before=decode_cursor(cursor, uuid.UUID)[0] if cursor else None,
        limit=page_limit(limit),
    )
    async with database.transaction() as tx:
        found = await reading.find(tx, actor, wanted)
    items = found[: wanted.limit]
    more = encode_cursor(str(items[-1].id)) if len(found) > len(items) else None
    return Page(items=[task_view(task) for task in items], next_cursor=more)


@get("/api/tasks/{task_id:uuid}", opt=policy(require(Permission.TASKS_READ)), tags=["tasks"])
async def get_task(
    actor: ActorArg, database: DatabaseArg, task_id: FromPath[uuid.UUID]
) -> TaskDetail:
    """One task with its input, its result, every attempt, and what it waits for."""
    async with database.transaction() as tx:
        task = await reading.visible(tx, actor, task_id)
        attempts = await reading.attempts(tx, task_id)
        place, waits_for = await looking.situation(tx, task_id)
    return task_detail(task, attempts, place, waits_for)


@post(
    "/api/tasks/{task_id:uuid}/cancel",
    opt=policy(require(Permission.TASKS_WRITE)),
    status_code=202,
    tags=["tasks"],
)
async def cancel(
    actor: ActorArg,
    database: DatabaseArg,
    bus: NamedDependency[Bus],
    outbox: NamedDependency[Outbox],
    task_id: FromPath[uuid.UUID],
    data: JSONBody[CancelRequest | None] = None,
) -> TaskView:
    """Asks a task to stop: at once while it waits, through its agent while it runs."""
    reason = data.reason if data else ""
    async with database.transaction() as tx:
        task = await cancelling.cancel(tx, outbox, bus, actor, task_id, reason)
    return task_view(task)


@get(
    "/api/tasks/{task_id:uuid}/events",
    opt=policy(require(Permission.TASKS_READ)),
    media_type="text/event-stream",
    tags=["tasks"],
)
async def follow(
    request: AnyRequest,
    actor: ActorArg,
    database: DatabaseArg,
    feeds: NamedDependency[Feeds],
    task_id: FromPath[uuid.UUID],
    last_event_id: LastEventId = None,
    cursor: FromQuery[str | None] = None,
) -> FeedResponse:
    """Everything that happens to one task, as server-sent events, to its end."""
    async with database.transaction() as tx:
        task = await reading.visible(tx, actor, task_id)
    return feeds.task_feed(
        actor,
        credential_of(request),
        task_id,
        cursor=last_event_id or cursor,
        is_over=task.life.is_over,
    )


routes: list[ControllerRouterHandler] = [
    submit,
    submit_batch,
    list_tasks,
    get_task,
    cancel,
    follow,
]

"""Queues, limits and weights over REST; changing them is the administrators'."""

from uuid import UUID

from litestar import delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler

from orchestra.features.tasks.schemas.queues import (
    LimitRequest,
    LimitView,
    QueueChange,
    QueueView,
    WeightRequest,
    WeightView,
    limit_view,
    queue_view,
)
from orchestra.features.tasks.service.queues import limits, queues
from orchestra.foundation.auth import Actor, Permission, require
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.web import Page, decode_cursor, encode_cursor, page_limit, policy

ActorArg = NamedDependency[Actor]
DatabaseArg = NamedDependency[Database]
BusArg = NamedDependency[Bus]
READ = policy(require(Permission.TASKS_READ))
MANAGE = policy(require(Permission.AGENTS_MANAGE))
MANAGE_USERS = policy(require(Permission.USERS_MANAGE))


@get("/api/queues", opt=READ, tags=["queues"])
async def list_queues(
    actor: ActorArg,
    database: DatabaseArg,
    limit: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Page[QueueView]:
    """The queues of your tasks and of what agents can do for you, by name."""
    size = page_limit(limit)
    after = decode_cursor(cursor, str)[0] if cursor else None
    async with database.transaction() as tx:
        found = await queues.find(tx, actor, after=after, limit=size)
    more = encode_cursor(found[size - 1].queue.name) if len(found) > size else None
    return Page(items=[queue_view(state) for state in found[:size]], next_cursor=more)


@get("/api/queues/{name:str}", opt=READ, tags=["queues"])
async def get_queue(actor: ActorArg, database: DatabaseArg, name: FromPath[str]) -> QueueView:
    """One queue; its name is a capability, or an agent's id."""
    async with database.transaction() as tx:
        return queue_view(await queues.get(tx, actor, name))


@patch("/api/queues/{name:str}", opt=MANAGE, tags=["queues"])
async def change_queue(
    actor: ActorArg, database: DatabaseArg, name: FromPath[str], data: JSONBody[QueueChange]
) -> QueueView:
    """Sets bounds, balancing and retention of one queue."""
    async with database.transaction() as tx:
        return queue_view(await queues.change(tx, actor, name, data.settings()))


@post("/api/queues/{name:str}/pause", opt=MANAGE, status_code=200, tags=["queues"])
async def pause_queue(actor: ActorArg, database: DatabaseArg, name: FromPath[str]) -> QueueView:
    """Starts nothing of the queue from now on; what runs goes on, and tasks are taken in."""
    return queue_view(await queues.pause(database, actor, name))


@post("/api/queues/{name:str}/resume", opt=MANAGE, status_code=200, tags=["queues"])
async def resume_queue(
    actor: ActorArg, database: DatabaseArg, bus: BusArg, name: FromPath[str]
) -> QueueView:
    """Starts tasks of the queue again."""
    async with database.transaction() as tx:
        return queue_view(await queues.resume(tx, bus, actor, name))


@get("/api/limits", opt=MANAGE, tags=["queues"])
async def list_limits(
    database: DatabaseArg,
    queue: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Page[LimitView]:
    """All limits, or those of one queue, the oldest first."""
    size = page_limit(limit)
    after = decode_cursor(cursor, UUID)[0] if cursor else None
    async with database.transaction() as tx:
        found = await limits.find(tx, queue=queue, after=after, limit=size)
    more = encode_cursor(str(found[size - 1].id)) if len(found) > size else None
    return Page(items=[limit_view(item) for item in found[:size]], next_cursor=more)


@post("/api/limits", opt=MANAGE, tags=["queues"])
async def add_limit(
    actor: ActorArg, database: DatabaseArg, data: JSONBody[LimitRequest]
) -> LimitView:
    """Limits a queue, users, or tasks with the same key; it holds for what waits already."""
    return limit_view(await limits.add(database, actor, data.to_limit()))


@delete("/api/limits/{limit_id:uuid}", opt=MANAGE, tags=["queues"])
async def remove_limit(
    actor: ActorArg, database: DatabaseArg, bus: BusArg, limit_id: FromPath[UUID]
) -> None:
    """Ends a limit; what it held back goes on."""
    async with database.transaction() as tx:
        await limits.remove(tx, bus, actor, limit_id)


@get("/api/users/{user_id:uuid}/weight", opt=MANAGE_USERS, tags=["queues"])
async def get_weight(database: DatabaseArg, user_id: FromPath[UUID]) -> WeightView:
    """How a user's tasks weigh against those of others."""
    async with database.transaction() as tx:
        return WeightView(weight=await queues.weight(tx, user_id))


@put("/api/users/{user_id:uuid}/weight", opt=MANAGE_USERS, status_code=204, tags=["queues"])
async def set_weight(
    actor: ActorArg, database: DatabaseArg, user_id: FromPath[UUID], data: JSONBody[WeightRequest]
) -> None:
    """Weighs a user's tasks against those of others; it holds for tasks submitted from now on."""
    async with database.transaction() as tx:
        await queues.set_weight(tx, actor, user_id, data.weight)


routes: list[ControllerRouterHandler] = [
    list_queues,
    get_queue,
    change_queue,
    pause_queue,
    resume_queue,
    list_limits,
    add_limit,
    remove_limit,
    get_weight,
    set_weight,
]

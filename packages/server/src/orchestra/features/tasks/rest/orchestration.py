"""Trees of tasks over REST: what is below a task, what it has done, how it was stopped."""

import uuid
from datetime import datetime

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.types import ControllerRouterHandler

from orchestra.features.tasks.schemas.orchestration import (
    CancellationView,
    StepView,
    TreeNodeView,
    cancellation_view,
    node_view,
    step_view,
)
from orchestra.features.tasks.service.reading import looking
from orchestra.foundation.auth import Actor, Permission, require
from orchestra.foundation.database import Database
from orchestra.foundation.web import Page, decode_cursor, encode_cursor, page_limit, policy

ActorArg = NamedDependency[Actor]
DatabaseArg = NamedDependency[Database]
READ = policy(require(Permission.TASKS_READ))


@get("/api/tasks/{task_id:uuid}/tree", opt=READ, tags=["tasks"])
async def tree(
    actor: ActorArg,
    database: DatabaseArg,
    task_id: FromPath[uuid.UUID],
    limit: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Page[TreeNodeView]:
    """The task and everything below it, level by level; each node names its parent."""
    size = page_limit(limit)
    after = decode_cursor(cursor, int, uuid.UUID) if cursor else None
    async with database.transaction() as tx:
        found = await looking.tree(
            tx, actor, task_id, after=(after[0], after[1]) if after else None, limit=size
        )
    last = found[size - 1] if len(found) > size else None
    more = encode_cursor(last.depth, str(last.id)) if last else None
    return Page(items=[node_view(node) for node in found[:size]], next_cursor=more)


@get("/api/tasks/{task_id:uuid}/steps", opt=READ, tags=["tasks"])
async def list_steps(
    actor: ActorArg,
    database: DatabaseArg,
    task_id: FromPath[uuid.UUID],
    limit: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Page[StepView]:
    """What the task does once and for all, whatever becomes of its runs, oldest first."""
    size = page_limit(limit)
    after = decode_cursor(cursor, datetime, str) if cursor else None
    async with database.transaction() as tx:
        found = await looking.steps_of(
            tx, actor, task_id, after=(after[0], after[1]) if after else None, limit=size
        )
    last = found[size - 1] if len(found) > size else None
    more = encode_cursor(last.created_at.isoformat(), last.name) if last else None
    return Page(items=[step_view(step) for step in found[:size]], next_cursor=more)


@get("/api/tasks/{task_id:uuid}/cancellation", opt=READ, tags=["tasks"])
async def cancellation(
    actor: ActorArg,
    database: DatabaseArg,
    task_id: FromPath[uuid.UUID],
    limit: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
) -> CancellationView:
    """Who has stopped the tree of this task, who stopped when and how, and what ran on after."""
    size = page_limit(limit)
    after = decode_cursor(cursor, uuid.UUID)[0] if cursor else None
    async with database.transaction() as tx:
        record, found = await looking.cancellation(tx, actor, task_id, after=after, limit=size)
    more = encode_cursor(str(found[size - 1].id)) if len(found) > size else None
    return cancellation_view(record, found[:size], more)


routes: list[ControllerRouterHandler] = [tree, list_steps, cancellation]

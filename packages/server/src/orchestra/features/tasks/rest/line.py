"""A task's place in line over REST: why it waits, its priority, and many tasks at once."""

from uuid import UUID

from litestar import get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler

from orchestra.features.events import Outbox
from orchestra.features.tasks.schemas import TaskView, task_view
from orchestra.features.tasks.schemas.line import (
    BulkRequest,
    BulkView,
    TaskChange,
    WhyView,
    bulk_view,
    why_view,
)
from orchestra.features.tasks.service.queues import bulk, priority
from orchestra.features.tasks.service.reading.why import why
from orchestra.features.tasks.service.submitting.submit import Submitter
from orchestra.features.tasks.types import Priority
from orchestra.foundation.auth import Actor, Permission, require
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.web import policy

ActorArg = NamedDependency[Actor]
DatabaseArg = NamedDependency[Database]
BusArg = NamedDependency[Bus]
READ = policy(require(Permission.TASKS_READ))
WRITE = policy(require(Permission.TASKS_WRITE))


@get("/api/tasks/{task_id:uuid}/why", opt=READ, tags=["tasks"])
async def why_waiting(actor: ActorArg, database: DatabaseArg, task_id: FromPath[UUID]) -> WhyView:
    """Why a task does not run: a code, a sentence, and what both were computed from."""
    async with database.transaction() as tx:
        return why_view(await why(tx, actor, task_id))


@patch("/api/tasks/{task_id:uuid}", opt=WRITE, tags=["tasks"])
async def change_task(
    actor: ActorArg,
    database: DatabaseArg,
    bus: BusArg,
    task_id: FromPath[UUID],
    data: JSONBody[TaskChange],
) -> TaskView:
    """Gives a task that is not over another priority."""
    async with database.transaction() as tx:
        task = await priority.change(tx, bus, actor, task_id, Priority[data.priority.upper()])
    return task_view(task)


@post("/api/tasks/bulk", opt=WRITE, status_code=200, tags=["tasks"])
async def change_many(
    actor: ActorArg,
    database: DatabaseArg,
    bus: BusArg,
    outbox: NamedDependency[Outbox],
    submitter: NamedDependency[Submitter],
    data: JSONBody[BulkRequest],
) -> BulkView:
    """Cancels, retries or moves up to 500 of your tasks (an administrator's: all) at once."""
    parts = bulk.Parts(database=database, bus=bus, outbox=outbox, submitter=submitter)
    return bulk_view(await bulk.apply(parts, actor, data.to_wish()))


routes: list[ControllerRouterHandler] = [why_waiting, change_task, change_many]

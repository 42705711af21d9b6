"""Approvals over REST: what tasks ask people, and people's answers."""

import uuid
from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler

from orchestra.features.events import Outbox
from orchestra.features.tasks.repository.approvals import ApprovalFilter
from orchestra.features.tasks.schemas.approvals import AnswerRequest, ApprovalView, approval_view
from orchestra.features.tasks.service.orchestration import approvals
from orchestra.features.tasks.service.orchestration.approvals import Answer
from orchestra.features.tasks.types import ApprovalState
from orchestra.foundation.auth import Actor, Permission, require
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.web import Page, decode_cursor, encode_cursor, page_limit, policy

ActorArg = NamedDependency[Actor]
DatabaseArg = NamedDependency[Database]
READ = policy(require(Permission.TASKS_READ))
# Called `states` in the function: the framework keeps `state` for itself.
StateQuery = Annotated[list[ApprovalState] | None, QueryParameter(name="state")]


@get("/api/approvals", opt=READ, tags=["approvals"])
async def list_approvals(
    actor: ActorArg,
    database: DatabaseArg,
    states: StateQuery = None,
    task_id: FromQuery[uuid.UUID | None] = None,
    limit: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Page[ApprovalView]:
    """What your tasks (an administrator's: all) have asked, newest first."""
    wanted = ApprovalFilter(
        task_id=task_id,
        states=states,
        before=decode_cursor(cursor, uuid.UUID)[0] if cursor else None,
        limit=page_limit(limit),
    )
    async with database.transaction() as tx:
        found = await approvals.find(tx, actor, wanted)
    items = found[: wanted.limit]
    more = encode_cursor(str(items[-1].id)) if len(found) > len(items) else None
    return Page(items=[approval_view(item) for item in items], next_cursor=more)


@get("/api/approvals/{approval_id:uuid}", opt=READ, tags=["approvals"])
async def get_approval(
    actor: ActorArg, database: DatabaseArg, approval_id: FromPath[uuid.UUID]
) -> ApprovalView:
    """One question with exactly what it is about, and its answer."""
    async with database.transaction() as tx:
        return approval_view(await approvals.visible(tx, actor, approval_id))


@post(
    "/api/approvals/{approval_id:uuid}/answer",
    opt=policy(require(Permission.TASKS_WRITE)),
    status_code=200,
    tags=["approvals"],
)
async def answer(
    actor: ActorArg,
    database: DatabaseArg,
    bus: NamedDependency[Bus],
    outbox: NamedDependency[Outbox],
    approval_id: FromPath[uuid.UUID],
    data: JSONBody[AnswerRequest],
) -> ApprovalView:
    """Approves, rejects or answers; 409 for another hash, a second answer, or after its time."""
    said = Answer(
        approved=data.decision == "approve",
        data_hash=data.data_hash,
        answer=data.answer,
        comment=data.comment,
    )
    async with database.transaction() as tx:
        answered = await approvals.answer(tx, outbox, bus, actor, approval_id, said)
    return approval_view(answered)


routes: list[ControllerRouterHandler] = [list_approvals, get_approval, answer]

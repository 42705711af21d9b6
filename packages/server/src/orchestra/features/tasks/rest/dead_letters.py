"""Dead letters: groups of failures, replay, discard."""

from datetime import datetime
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler

from orchestra.features.tasks.schemas import TaskView, task_view
from orchestra.features.tasks.schemas.dead_letters import (
    DeadGroupView,
    DiscardRequest,
    DiscardView,
    ReplayRequest,
    ReplayView,
    group_view,
    replay_view,
)
from orchestra.features.tasks.service.ends import dead_letters
from orchestra.features.tasks.service.submitting.submit import Submitter
from orchestra.foundation.auth import Actor, Permission, require
from orchestra.foundation.database import Database
from orchestra.foundation.web import Page, decode_cursor, encode_cursor, page_limit, policy

ActorArg = NamedDependency[Actor]
DatabaseArg = NamedDependency[Database]
READ = policy(require(Permission.TASKS_READ))
WRITE = policy(require(Permission.TASKS_WRITE))
ROOT = "/api/dead-letters"


@get(ROOT, opt=READ, tags=["dead letters"])
async def list_dead_letters(
    actor: ActorArg,
    database: DatabaseArg,
    limit: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Page[DeadGroupView]:
    """Your tasks (an administrator's: all) that failed for good, by capability and error."""
    size = page_limit(limit)
    before = decode_cursor(cursor, datetime, str) if cursor else None
    async with database.transaction() as tx:
        found = await dead_letters.groups(
            tx, actor, before=(before[0], before[1]) if before else None, limit=size
        )
    last = found[size - 1] if len(found) > size else None
    more = encode_cursor(last.last_at.isoformat(), last.fingerprint) if last else None
    return Page(items=[group_view(group) for group in found[:size]], next_cursor=more)


@get(f"{ROOT}/{{fingerprint:str}}", opt=READ, tags=["dead letters"])
async def list_dead_letters_of_group(
    fingerprint: FromPath[str],
    actor: ActorArg,
    database: DatabaseArg,
    limit: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Page[TaskView]:
    """The tasks of one group, newest first, without inputs; `GET /api/tasks/{id}` has those."""
    size = page_limit(limit)
    before = decode_cursor(cursor, UUID)[0] if cursor else None
    async with database.transaction() as tx:
        found = await dead_letters.in_group(tx, actor, fingerprint, before=before, limit=size)
    more = encode_cursor(str(found[size - 1].id)) if len(found) > size else None
    return Page(items=[task_view(task) for task in found[:size]], next_cursor=more)


@post(f"{ROOT}/replay", opt=WRITE, status_code=202, tags=["dead letters"])
async def replay_dead_letters(
    actor: ActorArg,
    database: DatabaseArg,
    submitter: NamedDependency[Submitter],
    data: JSONBody[ReplayRequest],
) -> ReplayView:
    """Submits them again as new tasks, each once.

    Of several, those that cannot be submitted now are `refused`, each with its reason; try again.
    """
    async with database.transaction() as tx:
        replayed = await dead_letters.replay(tx, submitter, actor, data.chosen(), edited=data.input)
    return replay_view(replayed)


@post(f"{ROOT}/discard", opt=WRITE, status_code=200, tags=["dead letters"])
async def discard_dead_letters(
    actor: ActorArg, database: DatabaseArg, data: JSONBody[DiscardRequest]
) -> DiscardView:
    """Takes them out of the list; the tasks stay as they are."""
    async with database.transaction() as tx:
        count, remaining = await dead_letters.discard(tx, actor, data.chosen())
    return DiscardView(discarded=count, remaining=remaining)


routes: list[ControllerRouterHandler] = [
    list_dead_letters,
    list_dead_letters_of_group,
    replay_dead_letters,
    discard_dead_letters,
]

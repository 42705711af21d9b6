"""Declared workflows over REST: declare, list, look, run."""

import uuid
from typing import Annotated

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler

from orchestra.features.events import Outbox
from orchestra.features.tasks import Submitter
from orchestra.features.workflows import repository
from orchestra.features.workflows.schemas import (
    ListedWorkflowView,
    RunReplayView,
    RunRequest,
    StartedView,
    WorkflowRequest,
    WorkflowRunView,
    WorkflowView,
    listed_view,
    run_view,
    workflow_view,
)
from orchestra.features.workflows.service import declaring
from orchestra.features.workflows.service.running import Runner, find_runs
from orchestra.features.workflows.types import MAX_VERSION
from orchestra.foundation.auth import Actor, Permission, require
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings
from orchestra.foundation.web import Page, decode_cursor, encode_cursor, page_limit, policy

ActorArg = NamedDependency[Actor]
DatabaseArg = NamedDependency[Database]
SettingsArg = NamedDependency[Settings]
IdempotencyKey = Annotated[
    str | None, HeaderParameter(name="Idempotency-Key", min_length=1, max_length=200)
]
VersionQuery = Annotated[int | None, QueryParameter(ge=1, le=MAX_VERSION)]
READ = policy(require(Permission.TASKS_READ))
WRITE = policy(require(Permission.TASKS_WRITE))
ROOT = "/api/workflows"


@post(ROOT, opt=WRITE, status_code=201, tags=["workflows"])
async def declare(
    actor: ActorArg, database: DatabaseArg, settings: SettingsArg, data: JSONBody[WorkflowRequest]
) -> Response[WorkflowView]:
    """Keeps a workflow as its next version: 201, or 200 if the newest says the same."""
    async with database.transaction() as tx:
        made = await declaring.declare(tx, actor, settings, data.name, data.spec)
    return Response(workflow_view(made), status_code=200 if made.is_repeated else 201)


@get(ROOT, opt=READ, tags=["workflows"])
async def list_workflows(
    actor: ActorArg,
    database: DatabaseArg,
    limit: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Page[ListedWorkflowView]:
    """Your workflows by name, each with its newest version, whose nodes `GET` by name shows."""
    size = page_limit(limit)
    after = decode_cursor(cursor, str)[0] if cursor else None
    async with database.transaction() as tx:
        found = await repository.find(tx, actor.owner, after=after, limit=size)
    more = encode_cursor(found[size - 1].name) if len(found) > size else None
    return Page(items=[listed_view(item) for item in found[:size]], next_cursor=more)


@get(f"{ROOT}/{{name:str}}", opt=READ, tags=["workflows"])
async def get_workflow(
    actor: ActorArg,
    database: DatabaseArg,
    name: FromPath[str],
    version: VersionQuery = None,
) -> WorkflowView:
    """One of your workflows, in its newest version or that one."""
    async with database.transaction() as tx:
        return workflow_view(await declaring.get(tx, actor, name, version))


@post(f"{ROOT}/{{name:str}}/runs", opt=WRITE, status_code=202, tags=["workflows"])
async def run(
    actor: ActorArg,
    database: DatabaseArg,
    settings: SettingsArg,
    bus: NamedDependency[Bus],
    outbox: NamedDependency[Outbox],
    submitter: NamedDependency[Submitter],
    name: FromPath[str],
    data: JSONBody[RunRequest],
    idempotency_key: IdempotencyKey = None,
) -> StartedView:
    """Runs a workflow. The run is a task, and finishes on the version on which it began."""
    runner = Runner(outbox, bus, settings, submitter.room)
    new = data.to_new(name, idempotency_key)
    async with database.transaction() as tx:
        task, workflow = await runner.start(tx, actor, name, data.version, new)
    return StartedView(task_id=task.id, name=name, version=workflow.version, state=task.state)


@post(
    f"{ROOT}/{{name:str}}/runs/{{task_id:uuid}}/replay",
    opt=WRITE,
    status_code=202,
    tags=["workflows"],
)
async def replay(
    actor: ActorArg,
    database: DatabaseArg,
    settings: SettingsArg,
    bus: NamedDependency[Bus],
    outbox: NamedDependency[Outbox],
    submitter: NamedDependency[Submitter],
    name: FromPath[str],
    task_id: FromPath[uuid.UUID],
) -> RunReplayView:
    """Takes a run that has failed or was cancelled on, as another run on the same version.

    What its nodes have done is kept. The same run again gives the same replay.
    """
    runner = Runner(outbox, bus, settings, submitter.room)
    async with database.transaction() as tx:
        again, workflow = await runner.replay(tx, actor, task_id, name=name)
    return RunReplayView(
        task_id=again.task.id,
        name=name,
        version=workflow.version,
        state=again.task.state,
        replay_of=task_id,
        kept=again.kept,
    )


@get(f"{ROOT}/{{name:str}}/runs", opt=READ, tags=["workflows"])
async def list_runs(
    actor: ActorArg,
    database: DatabaseArg,
    name: FromPath[str],
    limit: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Page[WorkflowRunView]:
    """Runs of one of your workflows, newest first."""
    size = page_limit(limit)
    before = decode_cursor(cursor, uuid.UUID)[0] if cursor else None
    async with database.transaction() as tx:
        found = await find_runs(tx, actor, name, before=before, limit=size)
    more = encode_cursor(str(found[size - 1].task_id)) if len(found) > size else None
    return Page(items=[run_view(item) for item in found[:size]], next_cursor=more)


routes: list[ControllerRouterHandler] = [
    declare,
    list_workflows,
    get_workflow,
    run,
    replay,
    list_runs,
]

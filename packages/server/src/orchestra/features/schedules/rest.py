"""Schedules over REST."""

import uuid
from typing import Annotated

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody
from litestar.types import ControllerRouterHandler

from orchestra.features.schedules import repository
from orchestra.features.schedules.schemas import (
    RunView,
    ScheduleDetail,
    SchedulePatch,
    ScheduleRequest,
    ScheduleView,
    schedule_fields,
    schedule_view,
)
from orchestra.features.schedules.service import managing, timetable
from orchestra.features.schedules.service.firing import run_now
from orchestra.features.schedules.types import Schedule
from orchestra.features.tasks import Submitter, TaskRequest
from orchestra.foundation.auth import Actor, Permission, require
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.settings import Settings
from orchestra.foundation.web import Page, decode_cursor, encode_cursor, page_limit, policy

ActorArg = NamedDependency[Actor]
DatabaseArg = NamedDependency[Database]
SettingsArg = NamedDependency[Settings]
Id = FromPath[uuid.UUID]
IdempotencyKey = Annotated[
    str | None, HeaderParameter(name="Idempotency-Key", min_length=1, max_length=200)
]

READ = policy(require(Permission.TASKS_READ))
WRITE = policy(require(Permission.TASKS_WRITE))
ROOT = "/api/schedules"
ONE = f"{ROOT}/{{schedule_id:uuid}}"
UPCOMING = 5


@get(ROOT, opt=READ, tags=["schedules"])
async def list_schedules(
    actor: ActorArg,
    database: DatabaseArg,
    limit: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Page[ScheduleView]:
    """Your schedules (an administrator's: all), newest first."""
    size = page_limit(limit)
    before = decode_cursor(cursor, uuid.UUID)[0] if cursor else None
    async with database.transaction() as tx:
        found = await managing.find(tx, actor, before=before, limit=size)
    items = found[:size]
    more = encode_cursor(str(items[-1].id)) if len(found) > size else None
    return Page(items=[schedule_view(item) for item in items], next_cursor=more)


@post(ROOT, opt=WRITE, tags=["schedules"])
async def create_schedule(
    actor: ActorArg, database: DatabaseArg, settings: SettingsArg, data: JSONBody[ScheduleRequest]
) -> ScheduleDetail:
    """A task at a time, or again and again."""
    async with database.transaction() as tx:
        await managing.check_template(tx, actor, settings, data.template)
        made = await managing.create(tx, actor, settings, data.to_new())
        return await _detail(tx, made)


@get(ONE, opt=READ, tags=["schedules"])
async def get_schedule(schedule_id: Id, actor: ActorArg, database: DatabaseArg) -> ScheduleDetail:
    """One schedule with its next five times."""
    async with database.transaction() as tx:
        return await _detail(tx, await managing.visible(tx, actor, schedule_id))


@patch(ONE, opt=WRITE, tags=["schedules"])
async def change_schedule(
    schedule_id: Id,
    actor: ActorArg,
    database: DatabaseArg,
    settings: SettingsArg,
    data: JSONBody[SchedulePatch],
) -> ScheduleDetail:
    """Changes, pauses or resumes it; times that passed while it was paused are gone."""
    async with database.transaction() as tx:
        if isinstance(data.template, TaskRequest):
            await managing.check_template(tx, actor, settings, data.template)
        return await _detail(tx, await managing.change(tx, actor, schedule_id, data.given()))


@delete(ONE, opt=WRITE, tags=["schedules"])
async def delete_schedule(schedule_id: Id, actor: ActorArg, database: DatabaseArg) -> None:
    """Removes it; the tasks that it has submitted stay."""
    async with database.transaction() as tx:
        await managing.delete(tx, actor, schedule_id)


@post(f"{ONE}/run", opt=WRITE, status_code=202, tags=["schedules"])
async def run_schedule(
    schedule_id: Id,
    actor: ActorArg,
    database: DatabaseArg,
    submitter: NamedDependency[Submitter],
    idempotency_key: IdempotencyKey = None,
) -> RunView:
    """Submits its task now, whatever the time; its times stay as they are."""
    async with database.transaction() as tx:
        schedule = await managing.visible(tx, actor, schedule_id, for_update=True)
        task_id = await run_now(tx, submitter, schedule, key=idempotency_key)
        await managing.note_run(tx, actor, schedule, task_id)
    return RunView(task_id=task_id)


async def _detail(tx: Transaction, schedule: Schedule) -> ScheduleDetail:
    now = await repository.now(tx)
    times = [] if schedule.paused_at else timetable.upcoming(schedule.timing, now, count=UPCOMING)
    return ScheduleDetail(**schedule_fields(schedule), upcoming=times)


routes: list[ControllerRouterHandler] = [
    list_schedules,
    create_schedule,
    get_schedule,
    change_schedule,
    delete_schedule,
    run_schedule,
]

"""The worker: what was left behind is sent, what ended is told, and one of several leads."""

import asyncio
import uuid
from functools import partial

import pytest
from orchestra.engines.testing import wait_until
from orchestra.features.tasks import NewTask, Submitter
from orchestra.foundation import ids
from orchestra.foundation.auth import SYSTEM, Actor
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings
from orchestra.processes.leader import Leader
from orchestra.processes.worker import Worker

from .conftest import eventually

pytestmark = pytest.mark.anyio


async def rows(database: Database, sql: str, *values: object) -> list[object]:
    async with database.transaction() as tx:
        return [row[0] for row in await tx.fetch(sql, *values)]


async def is_so(database: Database, sql: str, *values: object) -> bool:
    return bool((await rows(database, sql, *values))[0])


async def test_a_worker_sends_what_a_dead_process_had_only_committed(
    settings: Settings, database: Database, bus: Bus
) -> None:
    worker = Worker(settings, database, bus)
    await rows(
        database,
        "INSERT INTO outbox (subject, message_id, payload, created_at) "
        "VALUES ('events.test', $1, '{}', now() - interval '1 minute') RETURNING id",
        ids.short_id(),
    )
    await worker.start()
    empty = "SELECT count(*) = 0 FROM outbox"
    assert await eventually(lambda: is_so(database, empty))
    await worker.stop()


async def test_a_worker_writes_the_end_of_a_task_into_its_answer(
    settings: Settings, database: Database, bus: Bus
) -> None:
    person = await _person(database)
    submitter = Submitter(database, bus, settings)
    async with database.transaction() as tx:
        new = NewTask(capability="chat", input={})
        task = await submitter.submit(person, new, tx=tx)
        await tx.execute(_CONVERSATION, task.id, person.owner)
        await tx.execute(_ANSWER, task.id)
    worker = Worker(settings, database, bus)
    await worker.start()
    async with database.transaction() as tx:
        await tx.execute(_SUCCEED, task.id, {"text": "Done."})
    told = "SELECT state = 'complete' AND content = 'Done.' FROM messages"
    assert await eventually(lambda: is_so(database, told))
    await worker.stop()
    await submitter.close()


async def test_one_worker_leads_and_another_takes_over(database: Database) -> None:
    first, second = Leader(database), Leader(database)
    async with Guard() as guard:
        leading = guard.spawn("first", first.run())
        assert await asyncio.to_thread(wait_until, partial(_leads, first), seconds=5)
        guard.spawn("second", second.run())
        # It has asked once by now, and was told that another leads.
        await rows(database, "SELECT pg_sleep(0.2)::text")
        assert not second.is_ours
        leading.cancel()
        assert await asyncio.to_thread(wait_until, partial(_leads, second), seconds=8)


def _leads(leader: Leader) -> bool:
    return leader.is_ours


async def _person(database: Database) -> Actor:
    user_id = ids.new_id()
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO users_v2 (id, username, role, created_at, updated_at) "
            "VALUES ($1, 'ann', 'member', now(), now())",
            user_id,
        )
    return _as(user_id)


def _as(user_id: uuid.UUID) -> Actor:
    return Actor(
        kind=SYSTEM.kind,
        id="x",
        name="ann",
        user_id=user_id,
        role=SYSTEM.role,
        permissions=SYSTEM.permissions,
    )


_CONVERSATION = """
INSERT INTO conversations (id, user_id, created_at, updated_at) VALUES ($1, $2, now(), now())
"""
_ANSWER = """
INSERT INTO messages (id, conversation_id, role, task_id, state, created_at)
VALUES ($1, $1, 'assistant', $1, 'streaming', now())
"""
_SUCCEED = """
UPDATE tasks SET state = 'succeeded', result = $2, finished_at = now(), finish_pending = true
WHERE id = $1
"""


async def test_a_worker_fires_schedules_and_forgets_what_is_old(
    settings: Settings, database: Database, bus: Bus
) -> None:
    person = await _person(database)
    submitter = Submitter(database, bus, settings)
    old = await submitter.submit(person, NewTask(capability="echo", input=1, idempotency_key="k"))
    await rows(
        database,
        """
        INSERT INTO schedules (id, user_id, name, at, template, overlap, catch_up, next_at, wake_at,
            created_at, updated_at)
        VALUES ($1, $2, 'once', now(), '{"capability": "scheduled"}', 'skip', 'one', now(), now(),
            now(), now())
        RETURNING id
        """,
        ids.new_id(),
        person.owner,
    )
    await rows(
        database,
        "UPDATE tasks SET state = 'succeeded', finished_at = now() - interval '1 year', "
        "created_at = now() - interval '1 year' WHERE id = $1 RETURNING id",
        old.id,
    )
    worker = Worker(settings, database, bus)
    await worker.start()
    fired = "SELECT count(*) = 1 FROM tasks WHERE capability = 'scheduled'"
    assert await eventually(lambda: is_so(database, fired))
    forgotten = "SELECT count(*) = 0 FROM tasks WHERE capability = 'echo'"
    assert await eventually(lambda: is_so(database, forgotten))
    await worker.stop()
    await submitter.close()

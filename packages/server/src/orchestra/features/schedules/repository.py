"""SQL of schedules. What is due is so by the database's clock."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from orchestra.features.schedules.errors import NameTaken
from orchestra.features.schedules.types import (
    CatchUp,
    NewSchedule,
    Overlap,
    Schedule,
    ScheduleId,
    Timing,
)
from orchestra.foundation.database import Database, Row, Transaction, without_nul

_COLUMNS = """id, user_id, name, cron, timezone, at, template, overlap, catch_up, next_at, pending,
    last_at, last_task_id, last_error, skipped, paused_at, created_at, updated_at"""
_CHANGEABLE = frozenset(
    {
        "name",
        "cron",
        "timezone",
        "at",
        "template",
        "overlap",
        "catch_up",
        "next_at",
        "pending",
        "wake_at",
        "last_at",
        "last_task_id",
        "last_error",
        "skipped",
        "paused_at",
    }
)


async def now(tx: Transaction) -> datetime:
    """When the transaction began, by the database's clock."""
    value: datetime = await tx.fetch_value("SELECT now()")
    return value


async def insert(
    tx: Transaction,
    schedule_id: ScheduleId,
    user_id: uuid.UUID,
    new: NewSchedule,
    *,
    next_at: datetime | None,
) -> Schedule:
    """Raises NameTaken."""
    timing = new.timing
    try:
        async with tx.savepoint():
            row = await tx.fetch_one(
                f"""
                INSERT INTO schedules (id, user_id, name, cron, timezone, at, template, overlap,
                    catch_up, next_at, wake_at, created_at, updated_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, now(), now())
                RETURNING {_COLUMNS}
                """,
                schedule_id,
                user_id,
                without_nul(new.name),
                timing.cron,
                timing.timezone,
                timing.at,
                new.template,
                new.overlap,
                new.catch_up,
                next_at,
            )
    except asyncpg.UniqueViolationError as error:
        raise NameTaken from error
    assert row is not None  # noqa: S101 - INSERT … RETURNING gives its row
    return _to_schedule(row)


async def lock_person(tx: Transaction, user_id: uuid.UUID) -> int:
    """Makes others wait who add a schedule for that person; how many there are."""
    await tx.fetch_value("SELECT 1 FROM users_v2 WHERE id = $1 FOR NO KEY UPDATE", user_id)
    count: int = await tx.fetch_value("SELECT count(*) FROM schedules WHERE user_id = $1", user_id)
    return count


async def get(
    tx: Transaction, schedule_id: uuid.UUID, *, for_update: bool = False
) -> Schedule | None:
    lock = "FOR UPDATE" if for_update else ""
    row = await tx.fetch_one(f"SELECT {_COLUMNS} FROM schedules WHERE id = $1 {lock}", schedule_id)
    return _to_schedule(row) if row else None


async def find(
    tx: Transaction, *, user_id: uuid.UUID | None, before: uuid.UUID | None, limit: int
) -> list[Schedule]:
    """One page and a row more if there is one, newest first; without `user_id` everybody's."""
    rows = await tx.fetch(
        f"""
        SELECT {_COLUMNS} FROM schedules
        WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::uuid IS NULL OR id < $2)
        ORDER BY id DESC LIMIT $3
        """,
        user_id,
        before,
        limit + 1,
    )
    return [_to_schedule(row) for row in rows]


async def is_any_due(database: Database) -> bool:
    """A look without locks, which costs a third of taking one."""
    return bool(await database.fetch("SELECT FROM schedules WHERE wake_at <= now() LIMIT 1"))


async def take_due(tx: Transaction) -> Schedule | None:
    """The schedule that is due first and that no other worker has, locked."""
    row = await tx.fetch_one(
        f"""
        SELECT {_COLUMNS} FROM schedules WHERE wake_at <= now()
        ORDER BY wake_at LIMIT 1 FOR UPDATE SKIP LOCKED
        """
    )
    return _to_schedule(row) if row else None


async def update(
    tx: Transaction, schedule_id: ScheduleId, changes: Mapping[str, Any]
) -> Schedule | None:
    """Sets columns; raises NameTaken."""
    names = sorted(changes)
    if not _CHANGEABLE.issuperset(names):
        raise ValueError(names)
    settings = ", ".join(f"{name} = ${place}" for place, name in enumerate(names, start=2))
    sql = f"""
        UPDATE schedules SET {settings}, updated_at = now() WHERE id = $1 RETURNING {_COLUMNS}
    """
    try:
        async with tx.savepoint():
            row = await tx.fetch_one(sql, schedule_id, *(changes[name] for name in names))
    except asyncpg.UniqueViolationError as error:
        raise NameTaken from error
    return _to_schedule(row) if row else None


async def delete(tx: Transaction, schedule_id: ScheduleId) -> None:
    await tx.execute("DELETE FROM schedules WHERE id = $1", schedule_id)


async def postpone(tx: Transaction, schedule_id: ScheduleId, *, seconds: float, why: str) -> None:
    """After a failure of ours: the same times are tried again a little later."""
    await tx.execute(
        """
        UPDATE schedules SET wake_at = now() + make_interval(secs => $2), last_error = $3
        WHERE id = $1 AND wake_at IS NOT NULL
        """,
        schedule_id,
        seconds,
        without_nul(why),
    )


async def wake_after(tx: Transaction, task_id: uuid.UUID) -> None:
    """A task is over: a schedule that waits for its end is due now.

    One that a worker has at this moment is skipped, for that worker may wait for the task's row;
    it looks again by itself.
    """
    await tx.execute(
        """
        UPDATE schedules SET wake_at = now() WHERE id IN (
            SELECT id FROM schedules
            WHERE last_task_id = $1 AND pending <> '{}' AND wake_at IS NOT NULL
            FOR UPDATE SKIP LOCKED
        )
        """,
        task_id,
    )


def _to_schedule(row: Row) -> Schedule:
    values = dict(row)
    timing = Timing(cron=values.pop("cron"), timezone=values.pop("timezone"), at=values.pop("at"))
    values["id"] = ScheduleId(values["id"])
    values["overlap"] = Overlap(values["overlap"])
    values["catch_up"] = CatchUp(values["catch_up"])
    values["pending"] = tuple(values["pending"])
    return Schedule(timing=timing, **values)

"""Limits as people see and set them, and what happens to tasks when one goes."""

import re
import uuid
from dataclasses import replace

from orchestra.features import audit
from orchestra.features.tasks.errors import LimitNotFound, TooManyLimits
from orchestra.features.tasks.repository import limited, queues
from orchestra.features.tasks.repository import limits as repository
from orchestra.features.tasks.repository.limits import MAX_LIMITS, Limit, LimitScope
from orchestra.features.tasks.service.announcing import wake
from orchestra.features.tasks.service.queues.queues import NO_USER, check_name, settle
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Database, Transaction, without_nul
from orchestra.foundation.errors import FieldError, InvalidInput
from orchestra.foundation.messaging import Bus

# RFC 6901; `~0` is a tilde and `~1` a slash inside of a name.
POINTER = re.compile(r"(/([^~/\0]|~[01])*)*")
BATCH = 5_000


async def add(database: Database, actor: Actor, wanted: Limit) -> Limit:
    """From its return on it holds for every claim; what runs already counts, too."""
    _check(wanted)
    async with database.transaction() as tx:
        if await repository.count(tx) >= MAX_LIMITS:
            raise TooManyLimits
        if wanted.queue is not None:
            wanted = replace(wanted, queue=await check_name(tx, actor, wanted.queue))
        if wanted.user_id is not None and await queues.weight(tx, wanted.user_id) is None:
            raise InvalidInput(NO_USER, fields=[FieldError("user_id", "there is no such user")])
        mark = await queues.mark(tx)
        limit = await repository.add(tx, replace(wanted, key_path=_path(wanted.key_pointer)))
        await repository.hold_running(tx, limit.id)
        await _audit(tx, actor, "limit.added", limit)
    await settle(database, mark)
    async with database.transaction() as tx:  # and what was claimed in the meantime
        await repository.hold_running(tx, limit.id)
    return limit


async def remove(tx: Transaction, bus: Bus, actor: Actor, limit_id: uuid.UUID) -> None:
    """What it held back goes on; raises LimitNotFound."""
    limit = await repository.remove(tx, limit_id)
    if limit is None:
        raise LimitNotFound
    await free_orphans(tx, bus)
    await _audit(tx, actor, "limit.removed", limit)


async def free_orphans(tx: Transaction, bus: Bus) -> int:
    """Brings back into line what limits held back that are gone; how many, `BATCH` at most."""
    freed = await limited.put_back_orphans(tx, limit=BATCH)
    if freed:
        tx.after_commit(lambda: wake(bus, freed))
    return len(freed)


async def find(
    tx: Transaction, *, queue: str | None, after: uuid.UUID | None, limit: int
) -> list[Limit]:
    """One page by age, and one more if there is one."""
    name = without_nul(queue) if queue is not None else None
    return await repository.find(tx, queue=name, after=after, limit=limit)


def _check(wanted: Limit) -> None:
    problems: list[FieldError] = []
    if wanted.max_running is None and wanted.rate is None:
        problems.append(FieldError("max_running", "give max_running, or rate and per_seconds"))
    if (wanted.rate is None) != (wanted.per_seconds is None):
        problems.append(FieldError("per_seconds", "goes with rate"))
    if wanted.scope is LimitScope.QUEUE and wanted.queue is None:
        problems.append(FieldError("queue", "a limit of a queue names it"))
    if wanted.scope is not LimitScope.USER and wanted.user_id is not None:
        problems.append(FieldError("user_id", "goes with the scope user"))
    if (wanted.scope is LimitScope.KEY) != (wanted.key_pointer is not None):
        problems.append(FieldError("key_pointer", "goes with the scope key"))
    elif wanted.key_pointer and not POINTER.fullmatch(wanted.key_pointer):
        problems.append(FieldError("key_pointer", "a JSON pointer, such as /customer/id"))
    if problems:
        raise InvalidInput(
            "; ".join(f"{item.field}: {item.message}" for item in problems), fields=problems
        )


def _path(pointer: str | None) -> list[str] | None:
    if pointer is None:
        return None
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


async def _audit(tx: Transaction, actor: Actor, action: str, limit: Limit) -> None:
    names = ("scope", "queue", "user_id", "key_pointer", "max_running", "rate", "per_seconds")
    details = {name: getattr(limit, name) for name in names if getattr(limit, name) is not None}
    await audit.record(tx, actor, action, target_kind="limit", target_id=limit.id, details=details)

"""Records changes, and finds the first row that somebody touched afterwards."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from orchestra.features.audit import repository
from orchestra.features.audit.types import ChainedEntry, Entry
from orchestra.foundation import clock, telemetry
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Transaction, without_nul

# What the first row names as the row before it.
GENESIS = bytes(32)
MAX_TEXT = 500
MAX_DETAILS_BYTES = 8 * 1024
# JSON numbers beyond this come back from PostgreSQL as something else.
MAX_INTEGER = 2**53
_VERIFY_PAGE = 1_000


async def record(
    tx: Transaction,
    actor: Actor,
    action: str,
    *,
    target_kind: str,
    target_id: object,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Adds one row to the chain, in the transaction of the change that it tells of.

    Call it last: every record waits here until the transactions that recorded before have ended.
    """
    entry = Entry(
        at=clock.now(),
        actor_kind=actor.kind,
        actor_id=_text(actor.id),
        actor_name=_text(actor.name),
        action=_text(action),
        target_kind=_text(target_kind),
        target_id=_text(str(target_id)),
        details=_bounded(details or {}),
        ip=_text(actor.ip),
        request_id=_text(telemetry.request_id.get()),
    )
    previous = await repository.head(tx) or GENESIS
    await repository.insert(tx, entry, previous_hash=previous, hash=chain_hash(entry, previous))


async def verify(tx: Transaction) -> int | None:
    """Walks the whole chain; returns the id of the first row that does not fit, or None."""
    position, previous = 0, GENESIS
    while rows := await repository.rows_after(tx, position, limit=_VERIFY_PAGE):
        for row in rows:
            if row.previous_hash != previous or row.hash != chain_hash(row.entry, previous):
                return row.id
            position, previous = row.id, row.hash
    return None


async def newest(
    tx: Transaction, *, before: int | None, action: str | None, actor_id: str | None, limit: int
) -> list[ChainedEntry]:
    """One page of the log from the newest row down."""
    return await repository.newest(tx, before=before, action=action, actor_id=actor_id, limit=limit)


def chain_hash(entry: Entry, previous: bytes) -> bytes:
    """SHA-256 over the former row's hash and the row as canonical JSON (sorted keys, no spaces)."""
    values = {name: getattr(entry, name) for name in Entry.__slots__}
    canonical = json.dumps(
        values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_time
    )
    return hashlib.sha256(previous + canonical.encode()).digest()


def _time(value: datetime) -> str:
    return value.isoformat(timespec="microseconds")


def _text(value: str) -> str:
    # A lone surrogate has no UTF-8 form; it becomes a question mark.
    return without_nul(value)[:MAX_TEXT].encode(errors="replace").decode()


def _bounded(details: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(details)
    if len(json.dumps(plain)) > MAX_DETAILS_BYTES:
        return {"truncated": True, "fields": sorted(plain)[:50]}
    return plain


def _plain(value: object) -> Any:
    """JSON that PostgreSQL gives back exactly as it was given, so that the hash holds."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return {_text(str(key)): _plain(item) for key, item in items}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [_plain(item) for item in cast("Sequence[object]", value)]
    return _text(str(value))


def _number(value: float) -> int | float | str:
    if math.isnan(value) or abs(value) > MAX_INTEGER:
        return str(value)
    return int(value) if value == int(value) else float(value)

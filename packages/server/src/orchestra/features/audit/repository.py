"""The SQL of the audit log. Rows are only ever added; the database refuses anything else."""

from typing import Any

from orchestra.features.audit.types import ChainedEntry, Entry
from orchestra.foundation.database import Row, Transaction

_COLUMNS = (
    "at, actor_kind, actor_id, actor_name, action, target_kind, target_id, details, ip, request_id"
)


async def head(tx: Transaction) -> bytes | None:
    """The newest row's hash; other writers wait from here until this transaction ends."""
    return await tx.fetch_value("SELECT audit_head()")


async def insert(tx: Transaction, entry: Entry, *, previous_hash: bytes, hash: bytes) -> None:
    await tx.execute(
        f"""
        INSERT INTO audit_log ({_COLUMNS}, previous_hash, hash)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        entry.at,
        entry.actor_kind,
        entry.actor_id,
        entry.actor_name,
        entry.action,
        entry.target_kind,
        entry.target_id,
        entry.details,
        entry.ip,
        entry.request_id,
        previous_hash,
        hash,
    )


async def rows_after(tx: Transaction, row_id: int, *, limit: int) -> list[ChainedEntry]:
    """The next rows in the order of the chain."""
    rows = await tx.fetch(
        f"""
        SELECT id, {_COLUMNS}, previous_hash, hash
        FROM audit_log WHERE id > $1 ORDER BY id LIMIT $2
        """,
        row_id,
        limit,
    )
    return [_chained(row) for row in rows]


async def newest(
    tx: Transaction, *, before: int | None, action: str | None, actor_id: str | None, limit: int
) -> list[ChainedEntry]:
    """Rows from the newest down, below the id `before`."""
    conditions, values = ["true"], list[Any]()
    for column, value in (("id <", before), ("action =", action), ("actor_id =", actor_id)):
        if value is not None:
            values.append(value)
            conditions.append(f"{column} ${len(values)}")
    rows = await tx.fetch(
        f"""
        SELECT id, {_COLUMNS}, previous_hash, hash
        FROM audit_log WHERE {" AND ".join(conditions)}
        ORDER BY id DESC LIMIT {limit:d}
        """,
        *values,
    )
    return [_chained(row) for row in rows]


def _chained(row: Row) -> ChainedEntry:
    values = dict(row)
    position = {name: values.pop(name) for name in ("id", "previous_hash", "hash")}
    return ChainedEntry(entry=Entry(**values), **position)

"""The SQL of providers, their encrypted keys, the default model and what calls used."""

import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from orchestra.features.providers.errors import NameTaken
from orchestra.features.providers.types import ModelCall, ModelDefault, Provider, ProviderKind
from orchestra.foundation.database import Row, Transaction

_COLUMNS = """id, name, kind, base_url, key_ciphertext, key_last4, enabled, is_local, models,
    models_checked_at, created_at"""
_CHANGEABLE = frozenset(
    {"name", "kind", "base_url", "key_ciphertext", "key_last4", "enabled", "models"}
    | {"models_checked_at"}
)
_CALL_COLUMNS = tuple(item.name for item in dataclasses.fields(ModelCall))
# Any fixed number, unlike those of other features.
START_LOCK = 7_203_330


async def lock_start(tx: Transaction) -> None:
    """Lets one process at a time make sure of keys and of the local provider."""
    await tx.execute("SELECT pg_advisory_xact_lock($1)", START_LOCK)


async def insert(tx: Transaction, provider: Provider) -> None:
    """Raises NameTaken."""
    try:
        await tx.execute(
            f"""
            INSERT INTO providers ({_COLUMNS}, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
            """,
            *(getattr(provider, name) for name in Provider.__slots__),
        )
    except asyncpg.UniqueViolationError as error:
        raise NameTaken from error


async def update(
    tx: Transaction, provider_id: uuid.UUID, changes: Mapping[str, Any], *, now: datetime
) -> Provider | None:
    """Sets the given columns; raises NameTaken."""
    if unknown := set(changes) - _CHANGEABLE:
        raise ValueError(f"columns that are never changed: {unknown}")
    columns = [f"{name} = ${number}" for number, name in enumerate(changes, start=3)]
    try:
        row = await tx.fetch_one(
            f"""
            UPDATE providers SET {", ".join([*columns, "updated_at = $2"])}
            WHERE id = $1 RETURNING {_COLUMNS}
            """,
            provider_id,
            now,
            *changes.values(),
        )
    except asyncpg.UniqueViolationError as error:
        raise NameTaken from error
    return _provider(row) if row else None


async def delete(tx: Transaction, provider_id: uuid.UUID) -> None:
    await tx.execute("DELETE FROM providers WHERE id = $1", provider_id)


async def by_id(tx: Transaction, provider_id: uuid.UUID) -> Provider | None:
    row = await tx.fetch_one(
        f"SELECT {_COLUMNS} FROM providers WHERE id = $1 FOR UPDATE", provider_id
    )
    return _provider(row) if row else None


async def local(tx: Transaction) -> Provider | None:
    row = await tx.fetch_one(f"SELECT {_COLUMNS} FROM providers WHERE is_local")
    return _provider(row) if row else None


async def everyone(tx: Transaction, *, limit: int) -> list[Provider]:
    """The oldest first, so that a list stays as people know it."""
    rows = await tx.fetch(f"SELECT {_COLUMNS} FROM providers ORDER BY id LIMIT $1", limit)
    return [_provider(row) for row in rows]


async def count(tx: Transaction) -> int:
    return int(await tx.fetch_value("SELECT count(*) FROM providers"))


async def default(tx: Transaction) -> ModelDefault | None:
    row = await tx.fetch_one("SELECT provider_id, model FROM model_defaults")
    return ModelDefault(provider_id=row["provider_id"], model=row["model"]) if row else None


async def set_default(tx: Transaction, chosen: ModelDefault) -> None:
    await tx.execute(
        """
        INSERT INTO model_defaults (provider_id, model) VALUES ($1, $2)
        ON CONFLICT (singleton) DO UPDATE SET provider_id = $1, model = $2
        """,
        chosen.provider_id,
        chosen.model,
    )


async def data_keys(tx: Transaction) -> list[Row]:
    """Wrapped keys, the newest first."""
    return await tx.fetch("SELECT id, wrapped_key, canary FROM data_keys ORDER BY id DESC")


async def insert_data_key(
    tx: Transaction, key_id: uuid.UUID, *, wrapped_key: bytes, canary: bytes, now: datetime
) -> None:
    await tx.execute(
        "INSERT INTO data_keys (id, wrapped_key, canary, created_at) VALUES ($1, $2, $3, $4)",
        key_id,
        wrapped_key,
        canary,
        now,
    )


async def insert_calls(tx: Transaction, calls: Sequence[ModelCall]) -> None:
    places = ", ".join(f"${number}" for number in range(1, len(_CALL_COLUMNS) + 1))
    await tx.execute_many(
        f"INSERT INTO model_calls ({', '.join(_CALL_COLUMNS)}) VALUES ({places})",
        [[getattr(call, name) for name in _CALL_COLUMNS] for call in calls],
    )


async def purge_calls(tx: Transaction, *, days: float, limit: int) -> int:
    """Deletes a batch of calls older than that, skipping what others have locked; how many."""
    return await tx.execute(
        """
        WITH gone AS MATERIALIZED (
            SELECT id FROM model_calls
            WHERE created_at < now() - make_interval(secs => $1::float8 * 86400)
            ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        DELETE FROM model_calls USING gone WHERE model_calls.id = gone.id
        """,
        days,
        limit,
    )


def _provider(row: Row) -> Provider:
    values = dict(row)
    return Provider(kind=ProviderKind(values.pop("kind")), **values)

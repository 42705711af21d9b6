"""SQL of the outbox and of the live feed's subscriptions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from orchestra.foundation.database import Database, Row, Transaction
from orchestra.foundation.messaging import Message


@dataclass(frozen=True, slots=True)
class Parcel:
    """Committed messages whose row stands until JetStream has them all."""

    id: int
    messages: tuple[Message, ...]


# A row without a subject holds several messages, so that many tasks that end together cost one.
_PACKED = ""
_Triple = tuple[str, str | None, bytes]


def row_of(messages: Sequence[Message]) -> tuple[str, str, bytes]:
    """Subject, message id and payload of the one row that holds the messages."""
    if len(messages) == 1:
        only = messages[0]
        return only.subject, only.message_id or "", only.payload
    triples = [(each.subject, each.message_id, each.payload) for each in messages]
    return _PACKED, _PACKED, msgspec.msgpack.encode(triples)


def insert_clause(*, first: int, condition: str) -> str:
    """What writes parcels within a statement of another feature; its RETURNING gives their ids.

    Three arrays, as `columns` makes them, from parameter `first` on.
    """
    subject, name, payload = (f"${number}" for number in range(first, first + 3))
    return f"""
        INSERT INTO outbox (subject, message_id, payload, created_at)
        SELECT subject, message_id, payload, now()
        FROM unnest({subject}::text[], {name}::text[], {payload}::bytea[]) WITH ORDINALITY
            AS given (subject, message_id, payload, place)
        WHERE {condition} ORDER BY place
        RETURNING id
    """


def columns(
    parcels: Sequence[Sequence[Message]],
) -> tuple[list[str], list[str], list[bytes]]:
    """Rows for parcels, column by column."""
    given = [row_of(messages) for messages in parcels]
    return (
        [subject for subject, _, _ in given],
        [message_id for _, message_id, _ in given],
        [payload for _, _, payload in given],
    )


async def insert_parcels(tx: Transaction, parcels: Sequence[Sequence[Message]]) -> list[int]:
    """Adds a row for each, in order, and returns their numbers; messages need a `message_id`."""
    rows = await tx.fetch(_INSERT, *columns(parcels))
    return sorted(row["id"] for row in rows)


_INSERT = insert_clause(first=1, condition="true")


async def delete_parcels(database: Database, numbers: Sequence[int]) -> None:
    # A crash that forgets this commit only makes the relay send again what JetStream recognises.
    await database.fetch(
        """
        WITH unflushed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
        DELETE FROM outbox USING unflushed WHERE id = ANY($1::bigint[])
        """,
        list(numbers),
    )


async def old_parcels(database: Database, *, older_than_seconds: float, limit: int) -> list[Parcel]:
    """The oldest rows that whoever committed them has not sent, in order of their numbers."""
    rows = await database.fetch(
        """
        SELECT id, subject, message_id, payload FROM outbox
        WHERE created_at < now() - make_interval(secs => $1) ORDER BY id LIMIT $2
        """,
        older_than_seconds,
        limit,
    )
    return [Parcel(row["id"], _messages_of(row)) for row in rows]


def _messages_of(row: Row) -> tuple[Message, ...]:
    if row["subject"] != _PACKED:
        return (Message(row["subject"], row["payload"], row["message_id"]),)
    triples = msgspec.msgpack.decode(row["payload"], type=list[_Triple])
    return tuple(Message(subject, payload, name) for subject, name, payload in triples)


async def subscriptions(tx: Transaction, caller: str) -> list[str]:
    rows = await tx.fetch("SELECT event_type FROM feed_subscriptions WHERE caller_id = $1", caller)
    return [row["event_type"] for row in rows]


async def add_subscription(tx: Transaction, caller: str, event_type: str, *, limit: int) -> None:
    """Remembers a type; beyond `limit` the caller's oldest is forgotten."""
    await tx.execute(
        """
        INSERT INTO feed_subscriptions (caller_id, event_type, created_at) VALUES ($1, $2, now())
        ON CONFLICT (caller_id, event_type) DO UPDATE SET created_at = excluded.created_at
        """,
        caller,
        event_type,
    )
    await tx.execute(
        """
        DELETE FROM feed_subscriptions WHERE caller_id = $1 AND event_type IN (
            SELECT event_type FROM feed_subscriptions WHERE caller_id = $1
            ORDER BY created_at DESC OFFSET $2
        )
        """,
        caller,
        limit,
    )


async def purge_subscriptions(tx: Transaction, *, before: datetime) -> None:
    await tx.execute("DELETE FROM feed_subscriptions WHERE created_at < $1", before)

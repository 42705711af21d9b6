"""SQL of the outbox and of the live feed's subscriptions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestra.foundation.database import Transaction
from orchestra.foundation.messaging import Message


@dataclass(frozen=True, slots=True)
class Unsent:
    """A committed message whose row stands until JetStream has it."""

    id: int
    message: Message


async def insert_messages(tx: Transaction, messages: Sequence[Message]) -> list[int]:
    """Adds rows in order and returns their numbers; every message needs a `message_id`."""
    rows = await tx.fetch(
        """
        INSERT INTO outbox (subject, message_id, payload, created_at)
        SELECT subject, message_id, payload, now()
        FROM unnest($1::text[], $2::text[], $3::bytea[]) WITH ORDINALITY
            AS given (subject, message_id, payload, place)
        ORDER BY place
        RETURNING id
        """,
        [message.subject for message in messages],
        [message.message_id for message in messages],
        [message.payload for message in messages],
    )
    return sorted(row["id"] for row in rows)


async def delete_messages(tx: Transaction, numbers: Sequence[int]) -> None:
    # A crash that forgets this commit only makes the relay send again what JetStream recognises.
    await tx.execute("SET LOCAL synchronous_commit TO off")
    await tx.execute("DELETE FROM outbox WHERE id = ANY($1::bigint[])", list(numbers))


async def old_messages(tx: Transaction, *, older_than_seconds: float, limit: int) -> list[Unsent]:
    """The oldest rows that whoever committed them has not sent, in order of their numbers."""
    rows = await tx.fetch(
        """
        SELECT id, subject, message_id, payload FROM outbox
        WHERE created_at < now() - make_interval(secs => $1) ORDER BY id LIMIT $2
        """,
        older_than_seconds,
        limit,
    )
    return [
        Unsent(row["id"], Message(row["subject"], row["payload"], row["message_id"]))
        for row in rows
    ]


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

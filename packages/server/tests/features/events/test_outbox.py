"""The outbox: committed messages reach JetStream, in order, whatever dies in between."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from nats.js.errors import NotFoundError
from orchestra.engines.testing import RunningNats, start_nats, wait_until
from orchestra.features.events import Outbox, repository
from orchestra.foundation import clock, ids
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.messaging import EVENTS, Bus, Message
from orchestra.foundation.settings import Settings

pytestmark = pytest.mark.anyio


async def test_what_a_transaction_announced_is_in_jetstream_in_order_and_its_rows_go(
    database: Database, bus: Bus
) -> None:
    outbox, subject = Outbox(bus, database), _subject()
    async with database.transaction() as tx:
        await outbox.add(tx, *(Message(subject, str(number).encode()) for number in range(50)))
        await outbox.add(tx, Message(subject, b"last"))
    await outbox.flush()

    assert await _stored(bus, subject) == [*(str(number).encode() for number in range(50)), b"last"]
    assert await _rows(database) == 0
    await outbox.close()


async def test_a_transaction_that_is_rolled_back_announces_nothing(
    database: Database, bus: Bus
) -> None:
    outbox, subject = Outbox(bus, database), _subject()
    with pytest.raises(ValueError, match="changed my mind"):
        await _add_and_fail(database, outbox, Message(subject, b"never"))
    await outbox.flush()

    assert await _stored(bus, subject) == []
    assert await _rows(database) == 0
    await outbox.close()


async def test_the_relay_sends_what_a_killed_process_had_only_committed(
    database: Database, bus: Bus
) -> None:
    subject = _subject()
    async with database.transaction() as tx:
        # As Outbox.add leaves it when the process dies between the commit and the publish.
        for number in range(3):
            await _insert_old(tx, subject, f"{number}")
    outbox = Outbox(bus, database)

    assert await outbox.relay() == 3
    assert await _stored(bus, subject) == [b"0", b"1", b"2"]
    assert await _rows(database) == 0
    assert await outbox.relay() == 0


async def test_messages_of_one_transaction_share_a_row_that_the_relay_can_read(
    database: Database, bus: Bus
) -> None:
    outbox, subject = Outbox(bus, database), _subject()
    large = b"x" * 200_000
    with pytest.raises(ValueError, match="changed"):
        await _add_and_fail(database, outbox, Message(subject, b"never"))
    async with database.transaction() as tx:
        parcels = [
            (Message(subject, b"0", f"{subject}:0"), Message(subject, b"1", f"{subject}:1")),
            (Message(subject, large, f"{subject}:2"),),
        ]
        await repository.insert_parcels(tx, parcels)
        await tx.execute("UPDATE outbox SET created_at = now() - interval '1 minute'")

    assert await _rows(database) == 2
    assert await outbox.relay() == 2
    assert await _stored(bus, subject) == [b"0", b"1", large]
    assert await _rows(database) == 0


async def test_what_jetstream_refuses_stays_for_the_relay(database: Database, bus: Bus) -> None:
    outbox, subject = Outbox(bus, database), _subject()
    too_large = b"x" * (bus.client.max_payload + 1)
    async with database.transaction() as tx:
        await outbox.add(tx, Message(subject, too_large), Message(subject, b"after"))
    await outbox.flush()

    assert await _stored(bus, subject) == [b"after"]
    assert await _rows(database) == 1
    await outbox.close()


async def test_a_message_that_jetstream_has_is_not_stored_twice_by_the_relay(
    database: Database, bus: Bus
) -> None:
    subject = _subject()
    await bus.publish(Message(subject, b"once", f"{subject}:once"))
    async with database.transaction() as tx:
        await _insert_old(tx, subject, "once")

    assert await Outbox(bus, database).relay() == 1
    assert await _stored(bus, subject) == [b"once"]


async def test_messages_committed_while_nats_is_away_arrive_when_it_is_back(
    database: Database, tmp_path: Path
) -> None:
    with start_nats(tmp_path) as nats:
        bus = await Bus.connect(
            Settings(nats_url=nats.url, nats_reconnect_seconds=0.05), name="test"
        )
        outbox, subject = Outbox(bus, database), _subject()
        await _kill(nats, bus)
        async with database.transaction() as tx:
            await outbox.add(tx, Message(subject, b"kept"))
            await tx.execute("UPDATE outbox SET created_at = now() - interval '1 minute'")
        await outbox.flush()
        assert await _rows(database) == 1

        back = asyncio.Event()
        bus.on_reconnect(_setter(back))
        nats.process.start()
        await asyncio.wait_for(back.wait(), timeout=10)
        assert await outbox.relay() == 1
        assert await _stored(bus, subject) == [b"kept"]
        await outbox.close()
        await bus.close()


def _subject() -> str:
    return f"events.test.{ids.short_id()}"


async def _insert_old(tx: Transaction, subject: str, text: str) -> None:
    await tx.execute(
        "INSERT INTO outbox (subject, message_id, payload, created_at) VALUES ($1, $2, $3, $4)",
        subject,
        f"{subject}:{text}",
        text.encode(),
        clock.now().replace(year=2000),
    )


async def _stored(bus: Bus, subject: str) -> list[bytes]:
    found: list[bytes] = []
    sequence = 1
    with contextlib.suppress(NotFoundError):
        while True:
            message = await bus.jetstream.get_msg(EVENTS, sequence, subject=subject, next=True)
            found.append(message.data or b"")
            sequence = (message.seq or 0) + 1
    return found


async def _rows(database: Database) -> int:
    async with database.transaction() as tx:
        return await tx.fetch_value("SELECT count(*) FROM outbox")


async def _add_and_fail(database: Database, outbox: Outbox, message: Message) -> None:
    async with database.transaction() as tx:
        await outbox.add(tx, message)
        raise ValueError("changed my mind")


async def _kill(nats: RunningNats, bus: Bus) -> None:
    nats.process.kill()
    assert await asyncio.to_thread(wait_until, lambda: not bus.is_connected, seconds=5)


def _setter(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def called() -> None:
        event.set()

    return called

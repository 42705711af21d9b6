"""The outbox: a message commits with the change it tells of, and reaches JetStream at least once.

Messages of one transaction share a row. After the commit they are published from memory at once,
and the row is deleted a moment later, many in one statement. What a crash or a NATS outage kept
from being sent, the worker's relay sends again; JetStream recognises repetitions by message id for
two minutes, readers by cursor.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import structlog

from orchestra.features.events import repository
from orchestra.features.events.repository import Parcel
from orchestra.foundation import crash_points, ids
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.messaging import Bus, Message, PubAck

log = structlog.get_logger(__name__)

# Beyond it messages are left to the relay rather than to memory.
MAX_WAITING = 20_000
WINDOW = 64  # rows
# Rows deleted together: long enough to gather many, short against the relay's patience.
DELETE_AFTER_SECONDS = 0.1
RELAY_AFTER_SECONDS = 2.0
# Of the messages in one row.
PARCEL_BYTES = 256 * 1024
PARCEL_MESSAGES = 128
RELAY_BATCH = 500


class Outbox:
    """Commits messages and sends them. One for each process; `close` sends what still waits."""

    def __init__(self, bus: Bus, database: Database) -> None:
        self._bus = bus
        self._database = database
        self._open: WeakKeyDictionary[Transaction, list[Parcel]] = WeakKeyDictionary()
        self._waiting: deque[Parcel] = deque()
        self._sent: list[int] = []
        self._guard = Guard()
        self._sender: asyncio.Task[None] | None = None
        self._deleter: asyncio.Task[None] | None = None

    async def add(self, tx: Transaction, *messages: Message) -> None:
        """Writes the messages with the transaction; after its commit they are sent in order."""
        parcels = pack(messages)
        numbers = await repository.insert_parcels(tx, parcels)
        pending = self._open.get(tx)
        if pending is None:
            self._open[tx] = pending = []
            tx.after_commit(lambda: self._committed(tx))
        pending.extend(_numbered(numbers, parcels))

    def committed(self, numbers: Sequence[int], parcels: Sequence[tuple[Message, ...]]) -> None:
        """Sends what a statement with `insert_clause` has committed."""
        self._send(_numbered(sorted(numbers), parcels))

    async def relay(self, database: Database | None = None) -> int:
        """Sends a batch of rows that still stand after 2 s, oldest first; returns how many it sent.

        Stops at the first message that NATS does not take, so that order is kept.
        """
        database = database or self._database
        rows = await repository.old_parcels(
            database, older_than_seconds=RELAY_AFTER_SECONDS, limit=RELAY_BATCH
        )
        if not rows:
            return 0
        taken = await self._publish(rows)
        until = next((place for place, is_taken in enumerate(taken) if not is_taken), len(rows))
        if until:
            await repository.delete_parcels(database, [row.id for row in rows[:until]])
        return until

    async def flush(self) -> None:
        """Waits until what was committed so far is sent or left to the relay."""
        while running := [
            task for task in (self._sender, self._deleter) if task and not task.done()
        ]:
            await asyncio.wait(running)

    async def close(self) -> None:
        """Sends what waits, for 3 s at most; the relay has the rest."""
        try:
            await asyncio.wait_for(self.flush(), timeout=3)
        except TimeoutError:
            log.warning("messages are left to the relay", count=len(self._waiting))
        await self._guard.stop()

    async def _committed(self, tx: Transaction) -> None:
        self._send(self._open.pop(tx, []))

    def _send(self, parcels: Sequence[Parcel]) -> None:
        """Sends what is committed, after what waits already; what cannot be sent the relay has."""
        if len(self._waiting) + len(parcels) > MAX_WAITING or not self._bus.is_connected:
            return
        self._waiting.extend(parcels)
        if parcels and (self._sender is None or self._sender.done()):
            self._sender = self._guard.spawn("outbox-send", self._send_waiting())

    async def _send_waiting(self) -> None:
        while self._waiting:
            window = [self._waiting.popleft() for _ in range(min(WINDOW, len(self._waiting)))]
            taken = await self._publish(window)
            crash_points.reached("outbox.after-send")
            self._forget([row.id for row, is_taken in zip(window, taken, strict=True) if is_taken])

    def _forget(self, numbers: list[int]) -> None:
        self._sent.extend(numbers)
        if numbers and (self._deleter is None or self._deleter.done()):
            self._deleter = self._guard.spawn("outbox-delete", self._delete_sent())

    async def _delete_sent(self) -> None:
        while self._sent:
            await asyncio.sleep(DELETE_AFTER_SECONDS)
            numbers, self._sent = self._sent, []
            try:
                await repository.delete_parcels(self._database, numbers)
            except OrchestraError as error:
                # The rows stay: the relay sends them again and deletes them.
                log.warning("sent messages could not be deleted", error=error.message)

    async def _publish(self, rows: Sequence[Parcel]) -> list[bool]:
        """Sends all without waiting in between; says of each whether JetStream has all of it."""
        outcomes = await self._bus.publish_window([each for row in rows for each in row.messages])
        failed = next((each for each in outcomes if not isinstance(each, PubAck)), None)
        if failed is not None:
            why = str(failed) or type(failed).__name__
            log.warning("messages wait for the relay", count=len(rows), error=why)
        answers = iter(outcomes)
        return [
            all([isinstance(next(answers), PubAck) for _ in row.messages])  # noqa: C419 - takes all of its own
            for row in rows
        ]


def pack(messages: Sequence[Message]) -> list[tuple[Message, ...]]:
    """Messages together in as few rows as their size allows."""
    parcels: list[list[Message]] = []
    size = 0
    for message in map(_with_id, messages):
        size += len(message.payload)
        if not parcels or size > PARCEL_BYTES or len(parcels[-1]) == PARCEL_MESSAGES:
            parcels.append([])
            size = len(message.payload)
        parcels[-1].append(message)
    return [tuple(parcel) for parcel in parcels]


def _numbered(numbers: Sequence[int], parcels: Sequence[tuple[Message, ...]]) -> list[Parcel]:
    return [Parcel(number, messages) for number, messages in zip(numbers, parcels, strict=True)]


def _with_id(message: Message) -> Message:
    if message.message_id:
        return message
    return Message(message.subject, message.payload, str(ids.new_id()))

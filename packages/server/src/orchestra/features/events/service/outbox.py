"""The outbox: a message commits with the change it tells of, and reaches JetStream at least once.

After the commit it is published from memory at once, and its row is deleted a moment later, many
rows in one transaction. What a crash or a NATS outage kept from being sent, the worker's relay
sends again; JetStream recognises repetitions by message id for two minutes, readers by cursor.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import nats.errors
import structlog
from nats.js import api
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NoStreamResponseError

from orchestra.features.events import repository
from orchestra.features.events.repository import Unsent
from orchestra.foundation import ids
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.messaging import PUBLISH_TIMEOUT_SECONDS, Bus, Message

log = structlog.get_logger(__name__)

# Beyond it messages are left to the relay rather than to memory.
MAX_WAITING = 20_000
WINDOW = 512
# Rows deleted together: long enough to gather many, short against the relay's patience.
DELETE_AFTER_SECONDS = 0.02
RELAY_AFTER_SECONDS = 2.0
RELAY_BATCH = 500


class Outbox:
    """Commits messages and sends them. One for each process; `close` sends what still waits."""

    def __init__(self, bus: Bus, database: Database) -> None:
        self._bus = bus
        self._database = database
        self._open: WeakKeyDictionary[Transaction, list[Unsent]] = WeakKeyDictionary()
        self._waiting: deque[Unsent] = deque()
        self._sent: list[int] = []
        self._guard = Guard()
        self._sender: asyncio.Task[None] | None = None
        self._deleter: asyncio.Task[None] | None = None

    async def add(self, tx: Transaction, *messages: Message) -> None:
        """Writes the messages with the transaction; after its commit they are sent in order."""
        named = [_with_id(message) for message in messages]
        numbers = await repository.insert_messages(tx, named)
        pending = self._open.get(tx)
        if pending is None:
            self._open[tx] = pending = []
            tx.after_commit(lambda: self._committed(tx))
        pending.extend(map(Unsent, numbers, named))

    async def relay(self, database: Database | None = None) -> int:
        """Sends a batch of rows that still stand after 2 s, oldest first; returns how many it sent.

        Stops at the first message that NATS does not take, so that order is kept.
        """
        database = database or self._database
        async with database.transaction() as tx:
            rows = await repository.old_messages(
                tx, older_than_seconds=RELAY_AFTER_SECONDS, limit=RELAY_BATCH
            )
        if not rows:
            return 0
        taken = await self._publish(rows)
        until = next((place for place, is_taken in enumerate(taken) if not is_taken), len(rows))
        if until:
            async with database.transaction() as tx:
                await repository.delete_messages(tx, [row.id for row in rows[:until]])
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
        messages = self._open.pop(tx, [])
        if len(self._waiting) + len(messages) > MAX_WAITING or not self._bus.is_connected:
            return
        self._waiting.extend(messages)
        if messages and (self._sender is None or self._sender.done()):
            self._sender = self._guard.spawn("outbox-send", self._send_waiting())

    async def _send_waiting(self) -> None:
        while self._waiting:
            window = [self._waiting.popleft() for _ in range(min(WINDOW, len(self._waiting)))]
            taken = await self._publish(window)
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
                async with self._database.transaction() as tx:
                    await repository.delete_messages(tx, numbers)
            except OrchestraError as error:
                # The rows stay: the relay sends them again and deletes them.
                log.warning("sent messages could not be deleted", error=error.message)

    async def _publish(self, rows: Sequence[Unsent]) -> list[bool]:
        """Sends all without waiting in between; says of each whether JetStream has it."""
        taken = await self._publish_window(rows)
        if any(isinstance(result, NoStreamResponseError) for result in taken):
            await self._restore_streams()
            taken = await self._publish_window(rows)
        return [isinstance(result, api.PubAck) for result in taken]

    async def _publish_window(self, rows: Sequence[Unsent]) -> list[api.PubAck | BaseException]:
        acknowledgements: list[asyncio.Future[api.PubAck]] = []
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_SECONDS):
                for row in rows:
                    acknowledgement = await self._start(row.message)
                    acknowledgements.append(acknowledgement)
                await asyncio.wait(acknowledgements)
        except (TimeoutError, OSError, nats.errors.Error, JetStreamError) as error:
            log.warning(
                "messages wait for the relay",
                count=len(rows),
                error=str(error) or type(error).__name__,
            )
        return [
            *map(_outcome, acknowledgements),
            *(_NOT_SENT for _ in rows[len(acknowledgements) :]),
        ]

    async def _start(self, message: Message) -> "asyncio.Future[api.PubAck]":
        headers = {api.Header.MSG_ID.value: message.message_id}
        jetstream: Any = self._bus.jetstream  # publish_async is partly untyped in nats-py
        return await jetstream.publish_async(message.subject, message.payload, headers=headers)

    async def _restore_streams(self) -> None:
        try:
            await self._bus.ensure_streams()
        except (nats.errors.Error, JetStreamError, TimeoutError) as error:
            log.warning("streams are not there", error=str(error) or type(error).__name__)


_NOT_SENT = TimeoutError()


def _outcome(acknowledgement: "asyncio.Future[api.PubAck]") -> api.PubAck | BaseException:
    if not acknowledgement.done():
        acknowledgement.cancel()
    if acknowledgement.cancelled() or not acknowledgement.done():
        return _NOT_SENT
    return acknowledgement.exception() or acknowledgement.result()


def _with_id(message: Message) -> Message:
    if message.message_id:
        return message
    return Message(message.subject, message.payload, str(ids.new_id()))

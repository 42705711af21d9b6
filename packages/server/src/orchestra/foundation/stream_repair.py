"""Makes a stream anew that JetStream has frozen.

Once a write has failed (a full disk, an I/O error) NATS writes to that stream no more, also when
there is space again, until it is restarted: publishes are simply not answered. Streams are a
conveyor, and what they carried is rebuilt from PostgreSQL; so a frozen one is deleted and made
anew.
"""

import asyncio

import nats.errors
import structlog
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from orchestra.foundation.errors import Unavailable
from orchestra.foundation.messaging import (
    EVENTS,
    LOGS,
    METRICS,
    STREAMS_RENEWED,
    TASKS,
    Bus,
    Message,
)

log = structlog.get_logger(__name__)

# A NATS that is only slow answers some of these, or its stream grows by what others send.
ROUNDS = 3
EVERY_SECONDS = 10.0
SUSPICIOUS_SECONDS = 1.0
PROBE = b'{"type":"stream.probe","data":{}}'
SUBJECTS = {
    TASKS: "tasks.probe",
    EVENTS: "events.probe",
    METRICS: "metrics.probe",
    LOGS: "logs.probe",
}


class StreamRepair:
    """Writes a few bytes to each stream now and then; one is enough for the whole installation."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._silent: dict[str, tuple[int, int]] = {}  # last sequence, rounds without an answer

    async def step(self) -> float:
        """For `forever`: looks once at each stream."""
        if not self._bus.is_connected:
            self._silent.clear()
            return EVERY_SECONDS
        checks = (self._is_frozen(name, subject) for name, subject in SUBJECTS.items())
        frozen = await asyncio.gather(*checks)
        for name, is_frozen in zip(SUBJECTS, frozen, strict=True):
            if is_frozen:
                await self._renew(name)
        return SUSPICIOUS_SECONDS if self._silent else EVERY_SECONDS

    async def _is_frozen(self, name: str, subject: str) -> bool:
        try:
            await self._bus.publish(Message(subject, PROBE))
        except Unavailable:
            return await self._has_stood_still(name)
        self._silent.pop(name, None)
        return False

    async def _has_stood_still(self, name: str) -> bool:
        """Whether NATS answers, but the stream has taken nothing for some rounds."""
        try:
            last = (await self._bus.jetstream.stream_info(name)).state.last_seq
        except (OSError, nats.errors.Error, JetStreamError, TimeoutError):
            self._silent.pop(name, None)
            return False
        former, rounds = self._silent.get(name, (last, 0))
        self._silent[name] = (last, rounds + 1 if former == last else 1)
        return self._silent[name][1] >= ROUNDS

    async def _renew(self, name: str) -> None:
        log.error("a stream takes nothing any more and is made anew", stream=name)
        try:
            await self._bus.jetstream.delete_stream(name)
        except NotFoundError:
            log.info("the stream was gone already", stream=name)
        await self._bus.ensure_streams()
        self._silent.pop(name, None)
        # Every process has consumers to make, and sequences that begin anew.
        await self._bus.announce(STREAMS_RENEWED, b"")

"""Sends what may be lost: permits, live status, logs. The database makes every loss good."""

from collections.abc import Iterable

import nats.errors
import structlog
from nats.js import api

from orchestra.foundation.errors import Unavailable
from orchestra.foundation.messaging import Bus, Message

log = structlog.get_logger(__name__)


async def send_soon(bus: Bus, messages: Iterable[Message]) -> None:
    """Hands messages to the connection without waiting; while NATS is away they are dropped."""
    if not bus.is_connected:
        return
    try:
        for message in messages:
            headers = {api.Header.MSG_ID.value: message.message_id} if message.message_id else None
            await bus.client.publish(message.subject, message.payload, headers=headers)
    except (OSError, nats.errors.Error) as error:
        log.warning("announcements were not sent", error=str(error) or type(error).__name__)


async def tell(bus: Bus, subject: str, payload: bytes) -> None:
    """Tells all processes that listen now; while NATS is away nobody hears it."""
    try:
        await bus.announce(subject, payload)
    except (Unavailable, OSError, nats.errors.Error) as error:
        log.warning("nobody was told", subject=subject, error=str(error) or type(error).__name__)

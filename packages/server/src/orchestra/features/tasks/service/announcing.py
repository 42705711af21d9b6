"""Tells all processes at once what they would otherwise find in the database a little later."""

import nats.errors
import structlog

from orchestra.foundation.errors import Unavailable
from orchestra.foundation.messaging import Bus

log = structlog.get_logger(__name__)


async def tell(bus: Bus, subject: str, payload: bytes) -> None:
    """Tells all processes that listen now; while NATS is away nobody hears it."""
    try:
        await bus.announce(subject, payload)
    except (Unavailable, OSError, nats.errors.Error) as error:
        log.warning("nobody was told", subject=subject, error=str(error) or type(error).__name__)

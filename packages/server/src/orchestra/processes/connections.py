"""Connects a process to its engines, and waits for them when the whole machine is starting."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from orchestra.foundation import clock, ids
from orchestra.foundation.database import Database
from orchestra.foundation.errors import Unavailable
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 30.0
RETRY_SECONDS = 0.5

T = TypeVar("T")


async def connect(settings: Settings, *, name: str) -> tuple[Database, Bus]:
    """Both connections; raises Unavailable if one cannot be made within 30 s."""
    return await asyncio.gather(
        _patiently(
            lambda: Database.connect(settings.database_url, pool_size=settings.database_pool_size)
        ),
        _patiently(lambda: Bus.connect(settings, name=name)),
    )


async def _patiently(connect: Callable[[], Awaitable[T]]) -> T:
    limit = clock.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await connect()
        except Unavailable as error:
            if clock.monotonic() > limit:
                raise
            log.warning("an engine is not there yet", error=error.message)
        await asyncio.sleep(ids.full_jitter(RETRY_SECONDS))

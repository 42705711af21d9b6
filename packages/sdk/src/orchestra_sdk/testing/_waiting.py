"""Waiting for what cannot announce itself."""

import asyncio
from collections.abc import Callable

WAIT_SECONDS = 10.0  # no test waits longer for anything unless it says so
_LOOK_AGAIN_SECONDS = 0.005


async def until(condition: Callable[[], bool], *, timeout: float = WAIT_SECONDS) -> None:
    """Return when `condition` holds; raises TimeoutError after `timeout` seconds."""
    async with asyncio.timeout(timeout):
        # Whatever a thread, a process or a file does has no event to wait for.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

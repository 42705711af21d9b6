"""Calls somebody for a queue at a later time; of several times for one queue, at the first."""

import asyncio
from collections.abc import Callable


class Alarms:
    """Times at which queues are to be looked at."""

    def __init__(self, ring: Callable[[str], None]) -> None:
        self._ring = ring
        self._set: dict[str, asyncio.TimerHandle] = {}

    def set(self, queue: str, seconds: float) -> None:
        """Rings for the queue in so many seconds, unless it will before."""
        loop = asyncio.get_running_loop()
        when, present = loop.time() + seconds, self._set.get(queue)
        if present is not None:
            if present.when() <= when:
                return
            present.cancel()
        self._set[queue] = loop.call_at(when, self._call, queue)

    def close(self) -> None:
        for alarm in self._set.values():
            alarm.cancel()
        self._set.clear()

    def _call(self, queue: str) -> None:
        del self._set[queue]
        self._ring(queue)

"""The only place that asks what time it is; tests replace it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

_now: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731 - replaced as one value by `use`


def now() -> datetime:
    """The wall clock, in UTC."""
    return _now()


def monotonic() -> float:
    """Seconds on a clock that never goes back; for durations only."""
    return time.monotonic()


def use(source: Callable[[], datetime]) -> Callable[[], datetime]:
    """Sets where `now` comes from and returns the former source, for tests to restore."""
    global _now
    former, _now = _now, source
    return former

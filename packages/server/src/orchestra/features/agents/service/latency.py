"""How long tasks take on an agent, as one number that a slow one raises at once."""

import math

from orchestra.foundation import clock

# After so long without news, what was is worth a third.
DECAY_SECONDS = 10.0


class PeakEwma:
    """A moving average that jumps to peaks and decays from them by time, not by number.

    Source: Finagle's `p2c` load balancer with peak EWMA (Twitter, 2013).
    """

    __slots__ = ("_at", "_seconds")

    def __init__(self) -> None:
        self._seconds = 0.0
        self._at = clock.monotonic()

    def observe(self, seconds: float) -> None:
        now = clock.monotonic()
        if seconds >= self._seconds:
            self._seconds = seconds
        else:
            weight = math.exp((self._at - now) / DECAY_SECONDS)
            self._seconds = self._seconds * weight + seconds * (1.0 - weight)
        self._at = now

    @property
    def seconds(self) -> float:
        """0 when nothing is known."""
        return self._seconds

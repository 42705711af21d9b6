"""When Python looks for objects that keep only each other alive; all others go without it.

Its own rules count objects made less objects gone. Ten thousand agents replace a million, one for
one: for a while nothing counts, and then one look among the young walks over all that came since,
for 0.4 s in which nothing else goes on. So the young are looked at by the clock, while they are
few, and the others when there is a reason. See docs/decisions/0016.
"""

import gc
from typing import Protocol

from orchestra.foundation import clock
from orchestra.foundation.concurrency import forever

# At half of it, more tasks are still at work at a look, and all looks cost three times as much.
YOUNG_SECONDS = 0.5
# Only streams that end were seen to leave garbage that is not young any more: two objects each.
FULL_SECONDS = 600.0
FULL_CHANGES = 20_000
# Objects that were made and not gone: between two looks only where very much begins at once.
YOUNG_OBJECTS = 50_000
NEVER = 1_000_000


class Fleet(Protocol):
    """Agents that come and go; `version` grows by one with each."""

    version: int


def spare_what_is_here() -> None:
    """What a process has when it begins to serve lives as long: it is never looked at again."""
    gc.freeze()


async def collect(fleet: Fleet) -> None:
    """Looks for garbage in place of Python's own rules, until it is cancelled."""
    gc.set_threshold(YOUNG_OBJECTS, NEVER, NEVER)
    await forever("garbage", Looks(fleet).step)


class Looks:
    """Young objects each time; all of them after a long time, or when many agents have gone."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._version, self._full_at = fleet.version, clock.monotonic()

    async def step(self) -> float:
        """One look; returns the seconds to the next."""
        changes, now = self._fleet.version - self._version, clock.monotonic()
        if changes < FULL_CHANGES and now < self._full_at + FULL_SECONDS:
            gc.collect(0)
        else:
            gc.collect()
            self._version, self._full_at = self._fleet.version, now
        return YOUNG_SECONDS

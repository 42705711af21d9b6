"""When agents spoke of runs that were taken from them: how long cancelled runs really went on.

What ends such a run is judged by the database at once (see `ends.ending`). Of the rest only the
time counts: it is kept here, and written once a second for all runs together, however much is said.
"""

import uuid
from collections.abc import Mapping

from orchestra.features.tasks.repository import late
from orchestra.features.tasks.repository.late import Heard
from orchestra.features.tasks.types import TaskId
from orchestra.foundation import clock
from orchestra.foundation.database import Database

WRITE_SECONDS = 1.0
# In one second; an agent that goes on is heard again in the next.
MOST_RUNS = 2_000

_Key = tuple[TaskId, int, uuid.UUID]


class LateWords:
    """Of one control plane."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._heard: dict[_Key, float] = {}  # by clock.monotonic()

    def note(self, task_id: TaskId, epoch: int, agent_id: uuid.UUID, *, at: float) -> None:
        """The agent has spoken of the run, at that time of `clock.monotonic`."""
        key = (task_id, epoch, agent_id)
        if key in self._heard or len(self._heard) < MOST_RUNS:
            self._heard[key] = max(at, self._heard.get(key, at))

    async def write(self) -> float:
        """Writes what was noted; returns the seconds to the next time."""
        if noted := dict(self._heard):
            await self._write(noted)
        for key, at in noted.items():
            if self._heard[key] == at:  # and it has not been heard again meanwhile
                del self._heard[key]
        return WRITE_SECONDS

    async def _write(self, noted: Mapping[_Key, float]) -> None:
        now = clock.monotonic()
        words = [Heard(*key, seconds_ago=now - at) for key, at in noted.items()]
        async with self._database.transaction() as tx:
            await late.heard(tx, words)

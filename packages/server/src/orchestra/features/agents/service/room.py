"""Whether an owner has room for another agent: each is in every list, and is looked after for ever.

Counted now and then; in between a part of what was free is given out, so the bound holds roughly,
and the coming of thousands costs no count for each.
"""

import uuid

from orchestra.features.agents import repository
from orchestra.features.agents.errors import TooManyAgents
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.settings import Settings

# One of so many parts of what is free.
PARTS = 10
MOST_OWNERS = 10_000


class Room:
    """One for each process that registers agents."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._most = settings.max_agents_per_owner
        self._free: dict[uuid.UUID, int] = {}  # to be given out before the next count

    async def take(self, owner_id: uuid.UUID, name: str) -> None:
        """Raises TooManyAgents; not for a name under which the owner has an agent already."""
        free = self._free.get(owner_id, 0) or await self._count(owner_id, name)
        if len(self._free) >= MOST_OWNERS:
            self._free.clear()
        self._free[owner_id] = free - 1

    async def _count(self, owner_id: uuid.UUID, name: str) -> int:
        return max(1, await free(self._database, owner_id, name, most=self._most) // PARTS)


async def free(source: Database | Transaction, owner_id: uuid.UUID, name: str, *, most: int) -> int:
    """How many more agents may be this owner's; raises TooManyAgents if this is one too many."""
    count, is_known = await repository.count_of(source, owner_id, name)
    if count >= most and not is_known:
        raise TooManyAgents(f"{most} agents may be one person's; forget some first.")
    return most - count

"""The user names of who submits, which agents are told; asked for once in a while."""

import uuid
from collections.abc import Sequence

from orchestra.features.identity import user_names
from orchestra.features.tasks.repository.claiming import Claim
from orchestra.foundation import clock
from orchestra.foundation.database import Database

# A name that was changed is known everywhere after a minute.
KEPT_SECONDS = 60.0
MAX_KEPT = 50_000


class Submitters:
    """A cache in front of `identity.user_names`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names: dict[uuid.UUID, str] = {}
        self._since = clock.monotonic()

    async def learn(self, claims: Sequence[Claim]) -> None:
        """Makes sure that the names of all submitters are known."""
        if clock.monotonic() - self._since > KEPT_SECONDS or len(self._names) > MAX_KEPT:
            self._names.clear()
            self._since = clock.monotonic()
        missing = {claim.user_id for claim in claims if claim.user_id not in self._names}
        if missing:
            async with self._database.transaction() as tx:
                self._names |= await user_names(tx, list(missing))

    def name(self, user_id: uuid.UUID) -> str:
        """Empty for a user who has been deleted."""
        return self._names.get(user_id, "")

"""Whether an agent has room for a task with a key: known between two claims only.

A claim reserves every free slot before it knows how many tasks there are, so an idle agent looks
full for some milliseconds. Who comes then is served at the end of the claim, before the next.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from orchestra.features.agents import ConnectedAgent, Registry

SETTLE_SECONDS = 0.2

Seen = TypeVar("Seen")


class Rooms:
    """One for each dispatcher, which says when claims begin and end."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._claims: dict[int, Sequence[ConnectedAgent]] = {}
        self._waiting: dict[asyncio.Event, Callable[[], bool]] = {}

    def reserved(self, agent: ConnectedAgent) -> int:
        """How many of its slots claims have reserved that are under way."""
        return sum(picked.count(agent) for picked in self._claims.values())

    def claim_begins(self, picked: Sequence[ConnectedAgent]) -> None:
        """These slots have been reserved."""
        self._claims[id(picked)] = picked

    def claim_ends(self, picked: Sequence[ConnectedAgent]) -> None:
        """What the claim has not used is free again."""
        del self._claims[id(picked)]
        for over, attempt in list(self._waiting.items()):
            if attempt() or not self._claims:
                del self._waiting[over]
                over.set()

    def free(self, agent: ConnectedAgent) -> None:
        """A reserved slot is not needed any more."""
        agent.in_use -= 1
        self._registry.on_capacity(agent)

    async def at_rest(self, look: Callable[[], Seen]) -> Seen:
        """Looks when no claim is under way, or after a fifth of a second whatever is."""
        seen: list[Seen] = []

        def attempt() -> bool:
            if not self._claims:
                seen.append(look())
            return bool(seen)

        await self.between_claims(attempt)
        return seen[0] if seen else look()

    async def between_claims(self, attempt: Callable[[], bool]) -> None:
        """Makes the attempt now and at the end of every claim that is under way.

        It is over when it has succeeded, when no claim is under way, or after a fifth of a second.
        """
        if attempt() or not self._claims:
            return
        over = asyncio.Event()
        self._waiting[over] = attempt
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await over.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.pop(over, None)

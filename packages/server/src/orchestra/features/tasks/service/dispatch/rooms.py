"""Slots for tasks from elsewhere: whether an agent has one is only known between claims.

A claim reserves every free slot before it knows how many tasks there are, so an idle agent looks
full for some milliseconds. Who asks then waits until the claim is over, but not for long.
"""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from orchestra.features.agents import ConnectedAgent, Registry
from orchestra.foundation import clock

SETTLE_SECONDS = 0.1

Wish = TypeVar("Wish")


class Rooms:
    """One for each dispatcher, which says when claims begin and end."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._claims = 0
        self._over: asyncio.Event | None = None  # somebody waits for the end of a claim

    def claim_begins(self) -> None:
        self._claims += 1

    def claim_ends(self) -> None:
        """What a claim has not used is free again."""
        self._claims -= 1
        if self._over is not None:
            self._over.set()
            self._over = None

    def free(self, agent: ConnectedAgent) -> None:
        """A reserved slot is not needed any more."""
        agent.in_use -= 1
        self._registry.on_capacity(agent)

    async def reserve(
        self, wishes: Sequence[tuple[Wish, ConnectedAgent, int]]
    ) -> list[tuple[Wish, ConnectedAgent]]:
        """Reserves a slot for each wish whose agent has one, and less to do than the number."""
        reserved, left = _reserve(wishes)
        limit = clock.monotonic() + SETTLE_SECONDS
        while left and self._claims and (seconds := limit - clock.monotonic()) > 0:
            self._over = self._over or asyncio.Event()
            try:
                async with asyncio.timeout(seconds):
                    await self._over.wait()
            except TimeoutError:
                break
            more, left = _reserve(left)
            reserved += more
        return reserved


def _reserve(
    wishes: Sequence[tuple[Wish, ConnectedAgent, int]],
) -> tuple[list[tuple[Wish, ConnectedAgent]], list[tuple[Wish, ConnectedAgent, int]]]:
    """What was reserved, and the wishes that are left."""
    reserved: list[tuple[Wish, ConnectedAgent]] = []
    left: list[tuple[Wish, ConnectedAgent, int]] = []
    for wish, agent, most in wishes:
        if agent.free > 0 and agent.in_use < most:
            agent.in_use += 1
            reserved.append((wish, agent))
        else:
            left.append((wish, agent, most))
    return reserved, left

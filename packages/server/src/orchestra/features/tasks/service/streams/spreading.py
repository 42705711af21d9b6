"""Gives agents away when another control plane has come that has far fewer.

Agents go where their id leads, among the control planes that live when they connect. One that comes
back has none of those that went to others meanwhile, until they connect again: so whoever has far
more than its share asks some to, a few at a time. What they run goes on.
"""

import math
import uuid
from collections.abc import Sequence

import structlog

from orchestra.features import agents
from orchestra.features.tasks.service.streams.plane import Plane
from orchestra.features.tasks.service.streams.session import Session

log = structlog.get_logger(__name__)

LOOK_SECONDS = 30.0
LIVING_SECONDS = 2.5 * LOOK_SECONDS
# So many more than the share are left alone: ids do not spread evenly.
TOLERATED_SHARE, TOLERATED = 0.25, 2.0
# Of its agents a control plane asks a tenth at once, of few at least so many, and at most so many.
LEAST_AT_ONCE, MOST_AT_ONCE, TENTH = 5, 100, 10
REASON = "Another control plane has fewer agents."


class Spreader:
    """One for each control plane."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._others: list[str] = []
        self._asked: set[uuid.UUID] = set()  # while the others are the same
        self._leaving: list[Session] = []

    async def step(self) -> float:
        plane = self._plane
        self._keep_those_that_stayed()
        await agents.note_living(plane.database, plane.id)
        others = sorted(
            await agents.living_planes(plane.database, plane.id, seconds=LIVING_SECONDS)
        )
        if others != self._others:
            self._others = others
            self._asked.clear()
        if others and not plane.is_stopping:
            theirs = await agents.count_at(plane.database, others)
            self._ask(self._chosen(surplus(len(plane.sessions), theirs, len(others) + 1)))
        return LOOK_SECONDS

    def _chosen(self, number: int) -> list[Session]:
        """Those that have been here longest; who has come back belongs here."""
        free = [
            session
            for agent_id, session in self._plane.sessions.items()
            if agent_id not in self._asked and not session.agent.draining
        ]
        return free[:number]

    def _ask(self, sessions: Sequence[Session]) -> None:
        for session in sessions:
            self._asked.add(session.agent.id)
            session.agent.draining = True
            session.drain(REASON)
        self._leaving.extend(sessions)
        if sessions:
            log.info("agents are asked to connect elsewhere", count=len(sessions))

    def _keep_those_that_stayed(self) -> None:
        """An agent need not understand what it is asked for: then it gets tasks again."""
        for session in self._leaving:
            if self._plane.sessions.get(session.agent.id) is session:
                session.agent.draining = False
                self._plane.registry.on_capacity(session.agent)
        self._leaving.clear()


def surplus(ours: int, theirs: int, planes: int) -> int:
    """How many of our agents to give away now, of all that are somewhere."""
    share = (ours + theirs) / planes
    if ours <= share * (1 + TOLERATED_SHARE) + TOLERATED:
        return 0
    at_once = min(MOST_AT_ONCE, max(LEAST_AT_ONCE, ours // TENTH))
    return min(at_once, math.ceil(ours - share))

"""Asks agents whether they work: each capability's own check, and whether the stream answers.

An answer that does not come counts as a failed check. How long a stream takes is only shown: an
agent whose handler keeps its event loop busy is slow to answer, and still does its work.
"""

import asyncio
import heapq
from dataclasses import dataclass

import structlog
from orchestra_protocol import agent_pb2 as pb

from orchestra.features import agents
from orchestra.features.agents import ConnectedAgent, Fault, Probe
from orchestra.features.tasks.service.ends.faults import policy_of
from orchestra.features.tasks.service.streams.session import Session
from orchestra.foundation import clock, ids
from orchestra.foundation.database import Database, without_nul
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

# How often a stream is asked; with thousands it is rarer, so that all are asked so often together.
STREAM_SECONDS = 60.0
STREAMS_PER_SECOND = 25
# What an agent asks for more often than this, it does not get.
LEAST_SECONDS = 1.0
ANSWER_SECONDS = 10.0  # the agent gives up then, and says so
MISSED_SECONDS = 15.0
MAX_MESSAGE = 1_000  # of what an agent says of itself; it is shown wherever the agent is
# A question about no capability: whoever answers it at all has a stream that works.
STREAM = ""


@dataclass(frozen=True, slots=True)
class _Due:
    """Something to be asked, or an answer that should have come by then (`number`)."""

    session: Session
    capability: str
    interval: float
    number: int | None = None


@dataclass(frozen=True, slots=True)
class _Open:
    """A question without an answer."""

    session: Session
    capability: str
    asked_at: float


class Prober:
    """One for each control plane."""

    def __init__(self, *, database: Database, bus: Bus, settings: Settings) -> None:
        self._database, self._bus, self._settings = database, bus, settings
        # When, then in order of their coming: tuples are compared in C, and there are thousands.
        self._due: list[tuple[float, int, _Due]] = []
        self._open: dict[int, _Open] = {}
        self._number = self._streams = 0
        self._changed = asyncio.Event()

    def watch(self, session: Session) -> None:
        """Asks the agent of a new stream from now on, until the stream is closed."""
        self._streams += 1
        wanted = [(name, max(LEAST_SECONDS, seconds)) for name, seconds in session.agent.probes]
        for capability, interval in [(STREAM, STREAM_SECONDS), *wanted]:
            # Agents that come together are not asked together for ever.
            first = ids.full_jitter(min(interval, 10.0))
            self._schedule(first, session, capability, interval)
        self._changed.set()

    async def step(self) -> float:
        """For `forever`: asks and judges what is due, then waits for the next."""
        while self._due and self._due[0][0] <= clock.monotonic():
            _, _, due = heapq.heappop(self._due)
            if due.session.is_closed:
                self._forget(due)
            elif due.number is None:
                self._ask(due)
            elif due.number in self._open:
                await self._miss(due.number)
        self._changed.clear()
        wait = max(0.0, self._due[0][0] - clock.monotonic()) if self._due else None
        try:
            async with asyncio.timeout(wait):
                await self._changed.wait()
        except TimeoutError:
            pass
        return 0.0

    async def take(self, session: Session, result: pb.ProbeResult) -> None:
        """An agent has answered; what nobody has asked it is dropped."""
        asked = self._open.get(result.id)
        if asked is None or asked.session is not session:
            return
        del self._open[result.id]
        if asked.capability == STREAM:
            session.agent.note_stream(clock.monotonic() - asked.asked_at)
            return
        said = without_nul(result.message[:MAX_MESSAGE])
        await self._note(session.agent, _seen(asked, said, healthy=result.healthy))

    def _schedule(
        self,
        seconds: float,
        session: Session,
        capability: str,
        interval: float,
        number: int | None = None,
    ) -> None:
        self._number += 1
        at = clock.monotonic() + seconds
        due = _Due(session, capability, interval, number)
        heapq.heappush(self._due, (at, self._number, due))

    def _forget(self, due: _Due) -> None:
        if due.number is not None:
            self._open.pop(due.number, None)
        elif due.capability == STREAM:
            self._streams -= 1

    def _ask(self, due: _Due) -> None:
        interval = due.interval
        if due.capability == STREAM:
            interval = max(interval, self._streams / STREAMS_PER_SECOND)
        self._schedule(interval, due.session, due.capability, due.interval)
        self._number += 1
        number = self._number
        self._open[number] = _Open(due.session, due.capability, clock.monotonic())
        self._schedule(MISSED_SECONDS, due.session, due.capability, due.interval, number)
        due.session.probe(
            pb.Probe(id=number, capability=due.capability, timeout_seconds=ANSWER_SECONDS)
        )

    async def _miss(self, number: int) -> None:
        asked = self._open.pop(number)
        if asked.capability != STREAM:
            said = f"no answer within {MISSED_SECONDS:g} s"
            await self._note(asked.session.agent, _seen(asked, said, healthy=False))

    async def _note(self, agent: ConnectedAgent, seen: Probe) -> None:
        """Shows it, and counts it: a failed check like a failed task."""
        agent.note_probe(seen)
        if seen.healthy:
            agent.pass_trial()
            return
        fault = Fault(
            agent_id=agent.id,
            about=ids.new_id(),
            code="probe_failed",
            message=f"{seen.capability}: {seen.message}",
        )
        try:
            async with self._database.transaction() as tx:
                await agents.note_faults(tx, self._bus, [fault], policy_of(self._settings))
        except OrchestraError as error:
            log.warning("a failed probe was not noted", agent=agent.name, why=error.message)


def _seen(asked: _Open, message: str, *, healthy: bool) -> Probe:
    return Probe(
        capability=asked.capability,
        healthy=healthy,
        message=message,
        at=clock.now(),
        seconds=clock.monotonic() - asked.asked_at,
    )

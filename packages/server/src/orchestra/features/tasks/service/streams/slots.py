"""Which runs take up their agents: slots become free, waiting runs begin or are given back.

A slot is free when its run's result has come, not when it is committed: the agent is done with it.
"""

from collections.abc import Callable, Sequence

from orchestra_protocol import agent_pb2 as pb

from orchestra.features.agents import Registry
from orchestra.features.tasks.service.ends.ending import Ending, lost, returned
from orchestra.features.tasks.service.streams.keeping import Keeper
from orchestra.features.tasks.service.streams.run import Run
from orchestra.features.tasks.service.streams.session import Session
from orchestra.foundation import clock

# A run that waits longer at its agent is better off with another.
STALLED_SECONDS = 0.5
# How often an agent is asked for what waits; it may answer until the next time but nine.
RECALL_SECONDS = 1.0
ANSWER_SECONDS = 10.0

SessionOf = Callable[[Run], Session | None]


class Slots:
    """Of all agents here. `give_up` ends a run that its agent has no more."""

    def __init__(
        self,
        *,
        registry: Registry,
        keeper: Keeper,
        session_of: SessionOf,
        give_up: Callable[[Run, Ending], None],
    ) -> None:
        self._registry, self._keeper = registry, keeper
        self._session_of, self._give_up = session_of, give_up

    def resume(self, session: Session, run: Run) -> None:
        """The run is on another stream of its agent; it has begun."""
        run.begin()
        run.has_slot = run.final is None
        if run.has_slot:
            session.backlog.add(run)
            session.agent.in_use += 1

    def note_final(self, session: Session, run: Run, final: pb.AgentEvent) -> None:
        """The agent has said the last word of the run, and has begun another.

        Who is on trial, or works faster than results are kept, waits until this one is.
        """
        session.backlog.leave(run)
        if run.claimed is not None:
            seconds = clock.monotonic() - run.started_at
            session.agent.pace.observe(run.claimed.subject.capability, seconds)
        is_trusted = session.agent.standing.quarantine is None and not self._keeper.is_behind
        if is_trusted and final.WhichOneof("event") == "result":
            self._free(run)

    def leave(self, run: Run) -> None:
        """The run is no more."""
        session = self._session_of(run)
        if session is not None:
            session.backlog.leave(run)
        self._free(run)

    def take_returned(self, session: Session, runs: Sequence[Run]) -> None:
        """The agent gives runs back which it has not begun.

        Unasked, it may give back only what waits: of a slot it would be an attempt for nothing.
        """
        asked = clock.monotonic() - session.recalled_at < ANSWER_SECONDS
        for run in runs:
            if run.begun and not asked and not session.agent.draining:
                ending = lost(run.task_id, run.epoch, "The agent gave it back.", code="given_back")
            else:
                ending = returned(run.task_id, run.epoch, "The agent had not begun it.")
            self._give_up(run, ending)

    def recall_stalled(self, session: Session, now: float) -> None:
        """Asks an agent for what waits there in vain, or should not be its any more."""
        if not len(session.backlog) or now - session.recalled_at < RECALL_SECONDS:
            return
        waiting = session.backlog.waiting()
        standing = session.agent.standing
        is_out = standing.quarantine is not None or standing.drain is not None
        if not waiting or not (
            is_out or any(now - run.assigned_at > STALLED_SECONDS for run in waiting)
        ):
            return
        session.agent.pace.is_stalled = True
        session.recall("It waits for others.")

    def _free(self, run: Run) -> None:
        if run.has_slot and run.agent is not None:
            run.has_slot = False
            run.agent.in_use -= 1
            self._registry.on_capacity(run.agent)

"""A control plane as a model: it claims for its agents, keeps leases, and writes what they say."""

from dataclasses import dataclass

from orchestra.features.tasks.errors import NotAllowed, StaleEpoch
from orchestra.features.tasks.types import Life, Trigger

from .agent import BACKLOG, SLOTS, Agent
from .clockwork import Clockwork, Process, Stream
from .rows import LEASE_SECONDS, Away, Claimed, Rows

SWEEP_SECONDS = 0.7
GRACE_SECONDS = 0.8
RETRY_SECONDS = 0.2


@dataclass(slots=True)
class Session:
    """An agent's stream here."""

    agent: Agent
    stream: Stream
    is_welcome: bool = False


@dataclass(slots=True)
class Run:
    """A lease that this control plane answers for."""

    task: int
    epoch: int
    agent: int
    is_ending: bool = False
    orphaned_at: float | None = None


class ControlPlane(Process):
    """One of several; what they have in common is the rows."""

    def __init__(self, clockwork: Clockwork, rows: Rows) -> None:
        super().__init__(clockwork)
        self.rows = rows
        self.others: list[ControlPlane] = []
        self.restart()

    def restart(self) -> None:
        super().restart()
        self._accepted: list[Stream] = []
        self.sessions: dict[int, Session] = {}
        self.runs: dict[int, Run] = {}
        self.reserved: dict[int, int] = {}
        self.every(SWEEP_SECONDS, self.wake)
        self.every(LEASE_SECONDS / 3, self._renew)

    def crash(self) -> None:
        super().crash()
        for stream in self._accepted:
            stream.end()

    # ---- agents come and go -------------------------------------------------------------------

    def accept(self, stream: Stream) -> None:
        """The machine does, even while the process sleeps; the connection dies with the process."""
        self._accepted.append(stream)

    def hello(
        self, agent: Agent, stream: Stream, running: dict[int, int], waiting: dict[int, int]
    ) -> None:
        former = self.sessions.get(agent.number)
        if former is not None:
            self._detach(former)
            former.stream.end()
        for other in self.others:  # word on core NATS: it may be late, lost or come twice
            for _ in range(self.clockwork.random.choice((0, 1, 1, 2))):
                other.later(self.clockwork.delay(), lambda to=other: to.moved(agent.number))

        def begin(held: list[tuple[int, int]] | Exception) -> None:
            if isinstance(held, Exception):
                stream.end()
            elif stream.is_open:
                self._begin(agent, stream, running, held, waiting)

        session = Session(agent, stream)
        if "assign-before-welcome" in self.rows.bugs:
            session.is_welcome = True
        self.sessions[agent.number] = session
        stream.when_it_ends(self, lambda: self._detach(session))
        self.rows.transact(self, lambda: self.rows.held_by(agent.number), begin)

    def _begin(
        self,
        agent: Agent,
        stream: Stream,
        running: dict[int, int],
        held: list[tuple[int, int]],
        waiting: dict[int, int],
    ) -> None:
        session = self.sessions.get(agent.number)
        if session is None or session.stream is not stream:
            return
        ours = {(task, epoch) for task, epoch in held if running.get(task) == epoch}
        for run in self._runs_of(agent.number):
            if (run.task, run.epoch) not in held and not run.is_ending:
                del self.runs[run.task]
        for task, epoch in ours:
            run = self.runs.get(task)
            if run is None or run.epoch != epoch:
                self.runs[task] = Run(task, epoch, agent.number)
            self.runs[task].orphaned_at = None
        session.is_welcome = True
        stream.send("down", agent, lambda: agent.welcome(stream, ours))
        for task, epoch in held:
            if (task, epoch) not in ours:
                had_begun = waiting.get(task) != epoch
                self._give_away(task, epoch, Trigger.RETRY if had_begun else Trigger.RETURN)
        self.wake()

    def returned(self, agent: Agent, stream: Stream, task: int, epoch: int) -> None:
        """The agent gives back what it has not begun."""
        run = self.runs.get(task)
        session = self.sessions.get(agent.number)
        if session is None or session.stream is not stream or run is None or run.epoch != epoch:
            return
        if run.agent == agent.number and not run.is_ending:
            del self.runs[task]
            self._tell_end(agent.number, task, epoch)
            self._take_back(task, epoch, Trigger.RETURN)
            self.wake()

    def _give_away(self, task: int, epoch: int, trigger: Trigger) -> None:
        run = self.runs.get(task)
        if run is not None and run.epoch == epoch:
            if run.is_ending or "assign-before-welcome" in self.rows.bugs:
                return
            del self.runs[task]
        self._take_back(task, epoch, trigger)

    def moved(self, agent: int) -> None:
        """An agent is at another control plane now."""
        session = self.sessions.get(agent)
        if session is not None:
            self._detach(session)
            session.stream.end()
        for run in self._runs_of(agent):
            del self.runs[run.task]

    def _detach(self, session: Session) -> None:
        if self.sessions.get(session.agent.number) is not session:
            return
        del self.sessions[session.agent.number]
        for run in self._runs_of(session.agent.number):
            run.orphaned_at = self.clockwork.now
            self.later(GRACE_SECONDS, lambda run=run: self._lose_orphan(run))

    def _lose_orphan(self, run: Run) -> None:
        is_orphan = run.orphaned_at is not None and not run.is_ending
        if self.runs.get(run.task) is run and is_orphan:
            if self.clockwork.now - (run.orphaned_at or 0) < GRACE_SECONDS:
                return  # it was back in between
            del self.runs[run.task]
            self._take_back(run.task, run.epoch)

    # ---- claims -------------------------------------------------------------------------------

    def wake(self) -> None:
        """Claims for every free slot; slots are reserved until the answer is here."""
        free: list[int] = []
        for number, session in self.sessions.items():
            if session.is_welcome:
                has = [run for run in self._runs_of(number) if not run.is_ending]
                used = len(has) + self.reserved.get(number, 0)
                free += [number] * (SLOTS + BACKLOG - used)
        if not free:
            return
        self.clockwork.random.shuffle(free)
        for number in free:
            self.reserved[number] = self.reserved.get(number, 0) + 1
        self.rows.transact(
            self, lambda: self.rows.claim(free), lambda got: self._hand_out(free, got)
        )

    def _hand_out(self, free: list[int], got: list[Claimed] | Exception) -> None:
        for number in free:
            self.reserved[number] -= 1
        if isinstance(got, Exception):
            return
        for claimed in got:
            self._assign(claimed)

    def _assign(self, claimed: Claimed) -> None:
        task, epoch = claimed.task, claimed.epoch
        self.runs[task] = Run(task, epoch, claimed.agent)
        session = self.sessions.get(claimed.agent)
        if session is None or not session.is_welcome:
            del self.runs[task]
            self._take_back(task, epoch, Trigger.RETURN)
            return
        agent, stream = session.agent, session.stream
        stream.send("down", agent, lambda: agent.assign(stream, task, epoch, waits=claimed.waits))

    # ---- ends ---------------------------------------------------------------------------------

    def ended(self, agent: Agent, stream: Stream, task: int, epoch: int, outcome: Trigger) -> None:
        """The agent says that a run is over; what is not here, the database judges."""
        run = self.runs.get(task)
        if run is not None and run.epoch == epoch:
            if run.is_ending:
                return
            run.is_ending = True
            self.wake()  # its slot is free

        def judged(outcome_or_error: Life | Exception) -> None:
            if isinstance(outcome_or_error, Away):
                self.later(RETRY_SECONDS, write)
                return
            if run is not None and self.runs.get(task) is run:
                del self.runs[task]
            self._tell_end(agent.number, task, epoch)
            self.wake()

        def write() -> None:
            self.rows.transact(
                self, lambda: self.rows.end(task, epoch, outcome, agent=agent.number), judged
            )

        write()

    def _tell_end(self, number: int, task: int, epoch: int) -> None:
        """Acknowledged for good, or revoked: the agent forgets it either way."""
        session = self.sessions.get(number)
        if session is not None and session.is_welcome:
            agent = session.agent
            session.stream.send("down", agent, lambda: agent.acknowledge(task, epoch))

    def _take_back(self, task: int, epoch: int, trigger: Trigger = Trigger.RETRY) -> None:
        def done(outcome: Life | Exception) -> None:
            if isinstance(outcome, StaleEpoch | NotAllowed):
                return  # somebody was quicker

        self.rows.transact(self, lambda: self.rows.end(task, epoch, trigger), done)

    # ---- leases -------------------------------------------------------------------------------

    def _renew(self) -> None:
        alive = [run for run in self.runs.values() if run.is_ending or run.orphaned_at is None]
        if alive:
            wanted = [(run.task, run.epoch) for run in alive]
            self.rows.transact(
                self, lambda: self.rows.renew(wanted), lambda kept: self._renewed(alive, kept)
            )

    def _renewed(self, alive: list[Run], answer: tuple[set[int], set[int]] | Exception) -> None:
        if isinstance(answer, Exception):
            return
        kept, stopping = answer
        for run in alive:
            if self.runs.get(run.task) is not run:
                continue
            session = self.sessions.get(run.agent)
            if run.task not in kept and not run.is_ending:
                del self.runs[run.task]
                self._tell_end(run.agent, run.task, run.epoch)
            elif run.task in stopping and session is not None:
                agent = session.agent
                session.stream.send("down", agent, lambda a=agent, r=run: a.stop(r.task, r.epoch))

    def _runs_of(self, agent: int) -> list[Run]:
        return [run for run in self.runs.values() if run.agent == agent]

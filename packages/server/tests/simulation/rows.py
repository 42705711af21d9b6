"""The database as a model: rows that change at one moment, by the real transition table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from orchestra.features.tasks.errors import NotAllowed, StaleEpoch
from orchestra.features.tasks.service.lifecycle import step
from orchestra.features.tasks.types import HELD, Life, TaskState, Trigger

from .clockwork import Clockwork, Process

R = TypeVar("R")

LEASE_SECONDS = 2.0
CANCEL_GRACE_SECONDS = 4.0
TIMER_SECONDS = 1.0


class Away(Exception):
    """The database does not answer; whether it did what was asked is not known."""


@dataclass(slots=True)
class Row:
    """A task, with everything that a test wants to know about its past."""

    id: int
    life: Life
    waits: bool = False  # its first lease gives the slot back until a timer has come
    was_waiting: bool = False
    agent: int | None = None
    lease_until: float = 0.0
    cancelled_at: float | None = None
    resume_at: float | None = None
    result_epoch: int | None = None
    leases: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])  # epoch, agent


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task with the lease that it has just got. `waits`: its handler gives the slot back."""

    task: int
    epoch: int
    agent: int
    waits: bool


class Rows:
    """What all processes share. `bugs` are planted, to see that they are found."""

    def __init__(self, clockwork: Clockwork, bugs: frozenset[str]) -> None:
        self.clockwork, self.bugs = clockwork, bugs
        self.tasks: dict[int, Row] = {}
        self.by_key: dict[str, int] = {}
        self.away_until = 0.0
        self.refused = 0

    def transact(
        self, by: Process, work: Callable[[], R], then: Callable[[R | Exception], None]
    ) -> None:
        """Runs `work` as a transaction; a crash of `by` may come before, between or after."""

        answers: list[R | Exception] = []
        answer = by.mine(lambda: then(answers[0]))

        def arrive() -> None:
            try:
                if self.away_until > self.clockwork.now:
                    raise Away
                answers.append(work())
                if self.clockwork.chance(0.01):
                    answers[:] = [Away()]  # it was committed, and the answer is lost
            except (Away, StaleEpoch, NotAllowed) as error:
                answers.append(error)
            self.clockwork.at(self.clockwork.delay(), answer)

        # What was sent before a crash may arrive after it.
        is_sent = self.clockwork.chance(0.5)
        self.clockwork.at(self.clockwork.delay(), arrive if is_sent else by.mine(arrive))

    # ---- transactions -------------------------------------------------------------------------

    def submit(self, key: str, *, max_attempts: int, waits: bool) -> int:
        if key not in self.by_key:
            task_id = len(self.tasks) + 1
            life = Life(TaskState.QUEUED, epoch=1, attempt=0, max_attempts=max_attempts)
            self.tasks[task_id] = Row(task_id, life, waits=waits)
            self.by_key[key] = task_id
        return self.by_key[key]

    def claim(self, agents: list[int]) -> list[Claimed]:
        """Tasks for free slots."""
        claimed: list[Claimed] = []
        waiting = [row for row in self.tasks.values() if row.life.state is TaskState.QUEUED]
        if "one-lease-for-two" in self.bugs:  # as a claim that does not lock its rows
            waiting = [row for row in waiting for _ in range(2)]
        for agent, row in zip(agents, waiting, strict=False):
            if row.life.state is TaskState.QUEUED:
                row.life = step(row.life, Trigger.CLAIM)
            row.agent = agent
            row.lease_until = self.clockwork.now + LEASE_SECONDS
            row.leases.append((row.life.epoch, agent))
            waits = row.waits and not row.was_waiting
            claimed.append(Claimed(row.id, row.life.epoch, agent, waits))
        return claimed

    def renew(self, leases: list[tuple[int, int]]) -> tuple[set[int], set[int]]:
        """Tasks whose lease is still that one, and those of them that shall stop."""
        kept: set[int] = set()
        for task_id, epoch in leases:
            row = self.tasks[task_id]
            if row.life.epoch == epoch and row.life.state in HELD:
                row.lease_until = self.clockwork.now + LEASE_SECONDS
                kept.add(task_id)
        stopping = {each for each in kept if self.tasks[each].life.state is TaskState.CANCELLING}
        return kept, stopping

    def held_by(self, agent: int) -> list[tuple[int, int]]:
        return [
            (row.id, row.life.epoch)
            for row in self.tasks.values()
            if row.agent == agent and row.life.state in HELD
        ]

    def end(self, task_id: int, epoch: int, trigger: Trigger, *, agent: int | None = None) -> Life:
        """Ends a lease; raises StaleEpoch or NotAllowed."""
        row = self.tasks[task_id]
        under = row.life.epoch if "stale-write-accepted" in self.bugs else epoch
        try:
            if agent is not None and row.agent != agent and under == epoch:
                raise StaleEpoch
            if trigger is Trigger.STOPPED and row.life.state is TaskState.RUNNING:
                trigger = Trigger.RETRY
            life = step(row.life, trigger, under=under)
        except StaleEpoch:
            self.refused += 1
            raise
        row.life = life
        if trigger is Trigger.RESULT:
            row.result_epoch = epoch
        if trigger is Trigger.SUSPEND:
            row.was_waiting, row.resume_at = True, self.clockwork.now + TIMER_SECONDS
        if life.state not in HELD:
            row.agent = None if not life.is_over else row.agent
        return life

    def cancel(self, task_id: int) -> None:
        row = self.tasks[task_id]
        if row.life.is_over or row.life.state is TaskState.CANCELLING:
            return
        row.life = step(row.life, Trigger.CANCEL)
        row.cancelled_at = self.clockwork.now
        if row.life.state is TaskState.CANCELLING and row.agent is None:
            row.life = step(row.life, Trigger.GIVE_UP)  # it waits: nobody has to be asked

    def overdue(self) -> None:
        """What the worker finds by the database's clock alone."""
        now = self.clockwork.now
        for row in self.tasks.values():
            is_held = row.life.state in HELD
            is_stuck = (
                row.life.state is TaskState.CANCELLING
                and row.cancelled_at is not None
                and row.cancelled_at + CANCEL_GRACE_SECONDS < now
            )
            if is_held and (row.lease_until < now or is_stuck):
                self._take_back(row)
            elif row.life.state is TaskState.WAITING and (row.resume_at or 0) < now:
                row.life = step(row.life, Trigger.RESUME)

    def _take_back(self, row: Row) -> None:
        former = row.life
        row.life = step(former, Trigger.RETRY, under=former.epoch)
        if "lease-keeps-its-epoch" in self.bugs and row.life.state is TaskState.QUEUED:
            row.life = Life(
                row.life.state, former.epoch - 1, row.life.attempt, row.life.max_attempts
            )
        row.agent = None

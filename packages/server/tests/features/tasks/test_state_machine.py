"""Tasks and leases as a machine that Hypothesis explores, on the real database.

The model is the pure transition table; the rows have to agree with it after every operation, in
whatever order submits, claims, ends under present and past leases, cancels and lost agents come.
"""

import asyncio
import uuid
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from orchestra.features.events import Outbox
from orchestra.features.identity import Identity, ensure_local_key
from orchestra.features.tasks import NewTask, Submitter
from orchestra.features.tasks.errors import NotAllowed, StaleEpoch
from orchestra.features.tasks.repository import claiming, leases
from orchestra.features.tasks.repository.claiming import Slot
from orchestra.features.tasks.repository.leases import Lease
from orchestra.features.tasks.service.ends.ending import Ended, Ending, end_all
from orchestra.features.tasks.service.ends.reconciling import Reconciler
from orchestra.features.tasks.service.lifecycle import step
from orchestra.features.tasks.service.orchestration.cancelling import cancel
from orchestra.features.tasks.types import (
    HELD,
    Life,
    QueueName,
    RetryPolicy,
    TaskId,
    TaskState,
    Trigger,
)
from orchestra.foundation.auth import Actor, Credential
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

R = TypeVar("R")
NO_NEW_TASK = cast("Any", multiple())
AGENTS = tuple(Slot(uuid.UUID(int=number), f"agent-{number}") for number in (1, 2, 3))
AT_ONCE = RetryPolicy(first_seconds=0, longest_seconds=0)
ENDS = (Trigger.RESULT, Trigger.FAIL, Trigger.RETRY, Trigger.STOPPED, Trigger.SUSPEND)


@dataclass
class Parts:
    """The real things, on one event loop for all of a run's examples."""

    runner: asyncio.Runner
    database: Database
    bus: Bus
    outbox: Outbox
    settings: Settings
    actor: Actor
    submitter: Submitter

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        return self.runner.run(work)


async def _open(runner: asyncio.Runner, settings: Settings) -> Parts:
    database = await Database.connect(settings.database_url, pool_size=4)
    key = (await ensure_local_key(database, settings)).read_text().strip()
    actor = await Identity(database, settings).authenticate(Credential(bearer=key))
    bus = await Bus.connect(settings, name="machine")
    outbox = Outbox(bus, database)
    submitter = Submitter(database, bus, settings)
    return Parts(runner, database, bus, outbox, settings, actor, submitter)


async def _close(parts: Parts) -> None:
    await parts.submitter.close()
    await parts.outbox.close()
    await parts.bus.close()
    await parts.database.close()


@pytest.fixture
def parts(settings: Settings) -> Iterator[Parts]:
    # An agent that is lost does not make a task poison here: the model knows only attempts.
    chosen = settings.with_values("test", poison_attempts=1000)
    with asyncio.Runner() as runner:
        opened = runner.run(_open(runner, chosen))
        yield opened
        runner.run(_close(opened))


@dataclass(frozen=True)
class Known:
    """A task as the model has it."""

    life: Life
    agent: uuid.UUID | None = None
    past: tuple[tuple[int, uuid.UUID], ...] = ()  # leases: epoch, agent


class TaskMachine(RuleBasedStateMachine):
    """One queue of its own in a database that all examples share."""

    parts: ClassVar[Parts]
    tasks = Bundle[TaskId]("tasks")

    @initialize()
    def begin(self) -> None:
        self.queue = QueueName(f"machine-{uuid.uuid4().hex[:12]}")
        self.known: dict[TaskId, Known] = {}
        self.by_key: dict[str, TaskId] = {}

    # ---- what can happen ----------------------------------------------------------------------

    @rule(target=tasks, key=st.sampled_from([None, None, "a", "b"]), attempts=st.integers(1, 3))
    def submit(self, key: str | None, attempts: int) -> Any:
        if key is not None:
            attempts = 2  # the same wish under the same key
        new = NewTask(
            input=1,
            capability=self.queue,
            max_attempts=attempts,
            retry=AT_ONCE,
            idempotency_key=key and f"{self.queue}-{key}",
        )
        task = self.parts.run(self.parts.submitter.submit(self.parts.actor, new))
        if key is not None and key in self.by_key:
            assert (task.id, task.is_repeated) == (self.by_key[key], True)
            return NO_NEW_TASK
        self.by_key |= {key: task.id} if key else {}
        self.known[task.id] = Known(Life(TaskState.QUEUED, 1, 0, attempts))
        return task.id

    @rule(slots=st.lists(st.sampled_from(AGENTS), min_size=1, max_size=4))
    def claim(self, slots: list[Slot]) -> None:
        claimed = self.parts.run(self._claim(slots))
        waiting = [task for task, known in self.known.items() if self._is_queued(known)]
        assert len(claimed) == min(len(slots), len(waiting))
        self._take(claimed)

    @rule()
    def two_control_planes_claim_at_once(self) -> None:
        async def both() -> tuple[list[claiming.Claim], list[claiming.Claim]]:
            return await asyncio.gather(self._claim(AGENTS[:2]), self._claim(AGENTS[1:]))

        first, second = self.parts.run(both())
        assert not {claim.id for claim in first} & {claim.id for claim in second}
        self._take([*first, *second])

    @rule(task=tasks, trigger=st.sampled_from(ENDS))
    def its_agent_ends_it(self, task: TaskId, trigger: Trigger) -> None:
        known = self.known[task]
        self._end(task, trigger, epoch=known.life.epoch, agent=known.agent or AGENTS[0].agent_id)

    @rule(task=tasks, trigger=st.sampled_from(ENDS), place=st.integers(0, 9))
    def an_agent_ends_a_past_lease(self, task: TaskId, trigger: Trigger, place: int) -> None:
        past = self.known[task].past
        if past:
            epoch, agent = past[place % len(past)]
            self._end(task, trigger, epoch=epoch, agent=agent)

    @rule(task=tasks, trigger=st.sampled_from(ENDS), agent=st.sampled_from(AGENTS))
    def an_agent_ends_what_may_be_anothers(
        self, task: TaskId, trigger: Trigger, agent: Slot
    ) -> None:
        self._end(task, trigger, epoch=self.known[task].life.epoch, agent=agent.agent_id)

    @rule(task=tasks)
    def its_lease_runs_out(self, task: TaskId) -> None:
        known = self.known[task]
        self.parts.run(self._run_out(task))
        if known.life.state in HELD:
            self._becomes(task, step(known.life, Trigger.RETRY))

    @rule(task=tasks)
    def its_agent_gives_back_what_it_has_not_begun(self, task: TaskId) -> None:
        life = self.known[task].life
        if life.state in HELD:
            ending = Ending(task_id=task, epoch=life.epoch, trigger=Trigger.RETURN)
            outcome = self.parts.run(self._end_all(ending))
            assert isinstance(outcome, Ended), outcome
            self._becomes(task, step(life, Trigger.RETURN))

    @rule(task=tasks)
    def what_it_waits_for_happens(self, task: TaskId) -> None:
        life = self.known[task].life
        if life.state is TaskState.WAITING:
            ending = Ending(task_id=task, epoch=life.epoch, trigger=Trigger.RESUME)
            outcome = self.parts.run(self._end_all(ending))
            assert isinstance(outcome, Ended), outcome
            self._becomes(task, step(life, Trigger.RESUME))

    @rule(task=tasks)
    def somebody_cancels_it(self, task: TaskId) -> None:
        known = self.known[task]
        self.parts.run(self._cancel(task))
        if known.life.is_over or known.life.state is TaskState.CANCELLING:
            return
        life = step(known.life, Trigger.CANCEL)
        if life.state is TaskState.CANCELLING and known.agent is None:
            life = step(life, Trigger.GIVE_UP)  # nobody has to be asked
        self._becomes(task, life)

    @rule(task=tasks, place=st.integers(0, 9))
    def a_control_plane_renews_a_lease(self, task: TaskId, place: int) -> None:
        known = self.known[task]
        epochs = [*(epoch for epoch, _ in known.past), known.life.epoch]
        epoch = epochs[place % len(epochs)]
        kept = self.parts.run(self._renew(Lease(task, epoch)))
        assert kept == (known.life.state in HELD and epoch == known.life.epoch)

    @precondition(lambda self: len(self.known) > 4)
    @rule(task=consumes(tasks))
    def nobody_touches_it_any_more(self, task: TaskId) -> None:
        """So that others get their turn; its row is compared all the same."""

    # ---- what has to hold ---------------------------------------------------------------------

    @invariant()
    def rows_agree_with_the_model(self) -> None:
        if not getattr(self, "known", None):
            return
        assert self.parts.run(self._rows()) == {
            task: (known.life, known.agent if known.life.state in HELD else None)
            for task, known in self.known.items()
        }

    @invariant()
    def every_lease_has_an_epoch_of_its_own_and_one_at_most_succeeded(self) -> None:
        if getattr(self, "known", None):
            assert self.parts.run(self._count_bad_attempts()) == 0

    # ---- the model ----------------------------------------------------------------------------

    def _end(self, task: TaskId, trigger: Trigger, *, epoch: int, agent: uuid.UUID) -> None:
        ending = Ending(task_id=task, epoch=epoch, trigger=trigger, agent_id=agent, reason="why")
        if trigger is Trigger.RESULT:
            ending = replace(ending, result_json=b"1")
        outcome = self.parts.run(self._end_all(ending))
        known = self.known[task]
        if agent != known.agent:
            assert isinstance(outcome, StaleEpoch), outcome
            return
        expected = _expected(known.life, self._meant(trigger, known.life), epoch)
        if not isinstance(expected, Life):
            assert isinstance(outcome, expected), outcome
            return
        assert isinstance(outcome, Ended), outcome
        assert outcome.life == expected
        self._becomes(task, expected)

    def _meant(self, trigger: Trigger, life: Life) -> Trigger:
        """An agent that stops unasked has lost the attempt; the last one it loses, it fails."""
        is_running = life.state is TaskState.RUNNING
        if trigger is Trigger.STOPPED and is_running:
            trigger = Trigger.RETRY
        is_last = trigger is Trigger.RETRY and life.attempt >= life.max_attempts
        return Trigger.FAIL if is_last and is_running else trigger

    def _becomes(self, task: TaskId, life: Life) -> None:
        known = self.known[task]
        # A row keeps the agent of its last lease, also when the task is over.
        is_freed = life.state in (TaskState.QUEUED, TaskState.WAITING)
        self.known[task] = replace(known, life=life, agent=None if is_freed else known.agent)

    def _take(self, claimed: list[claiming.Claim]) -> None:
        for claim in claimed:
            known = self.known[claim.id]
            life = step(known.life, Trigger.CLAIM)
            assert (claim.epoch, claim.attempt) == (life.epoch, life.attempt)
            past = (*known.past, (claim.epoch, claim.agent_id))
            self.known[claim.id] = Known(life, claim.agent_id, past)

    def _is_queued(self, known: Known) -> bool:
        return known.life.state is TaskState.QUEUED

    # ---- the real thing -----------------------------------------------------------------------

    async def _claim(self, slots: Any) -> list[claiming.Claim]:
        return await claiming.claim(
            self.parts.database, [self.queue], slots=slots, owner=None, lease_seconds=600
        )

    async def _end_all(self, ending: Ending) -> Ended | Exception:
        async with self.parts.database.transaction() as tx:
            return (await end_all(tx, self.parts.outbox, self.parts.bus, [ending]))[0]

    async def _cancel(self, task: TaskId) -> None:
        async with self.parts.database.transaction() as tx:
            await cancel(tx, self.parts.outbox, self.parts.bus, self.parts.actor, task)

    async def _renew(self, lease: Lease) -> bool:
        async with self.parts.database.transaction() as tx:
            return lease.task_id in await leases.renew(tx, [lease], seconds=600)

    async def _run_out(self, task: TaskId) -> None:
        async with self.parts.database.transaction() as tx:
            await tx.execute(
                "UPDATE tasks SET lease_expires_at = now() - interval '1 s' WHERE id = $1", task
            )
        parts = self.parts
        await Reconciler(parts.database, parts.outbox, parts.bus, parts.settings).overdue_runs()

    async def _rows(self) -> dict[TaskId, tuple[Life, uuid.UUID | None]]:
        rows = await self.parts.database.fetch(
            "SELECT id, state, epoch, attempt, max_attempts, agent_id FROM tasks WHERE queue = $1",
            self.queue,
        )
        found: dict[TaskId, tuple[Life, uuid.UUID | None]] = {}
        for row in rows:
            state = TaskState(row["state"])
            life = Life(state, row["epoch"], row["attempt"], row["max_attempts"])
            found[TaskId(row["id"])] = life, row["agent_id"] if state in HELD else None
        return found

    async def _count_bad_attempts(self) -> int:
        rows = await self.parts.database.fetch(
            """
            SELECT task_id FROM task_attempts AS lease JOIN tasks ON tasks.id = task_id
            WHERE queue = $1 GROUP BY task_id, tasks.epoch, tasks.state
            HAVING count(*) FILTER (WHERE outcome = 'succeeded') > 1
                OR max(lease.epoch) > tasks.epoch
                OR count(*) FILTER (WHERE ended_at IS NULL)
                    <> (tasks.state IN ('running', 'cancelling'))::int
            """,
            self.queue,
        )
        return len(rows)


def _expected(life: Life, trigger: Trigger, epoch: int) -> Life | type[Exception]:
    try:
        return step(life, trigger, under=epoch)
    except (StaleEpoch, NotAllowed) as error:
        return type(error)


@pytest.mark.timeout(120)
def test_tasks_and_leases_follow_the_transition_table_in_any_order(parts: Parts) -> None:
    machine = type("Machine", (TaskMachine,), {"parts": parts})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            # Shrinking takes minutes on a database; what is printed is short enough as it is.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )

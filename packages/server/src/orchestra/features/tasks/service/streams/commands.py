"""What runs ask of the server: in order, in one transaction with its answer, under their epoch.

An agent sends a command again until it has the reply, so each is recognised when it comes a second
time: by the name of its step, or by how its lease has ended.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.events import Outbox
from orchestra.features.tasks.errors import (
    BadCommand,
    BeingCancelled,
    QueueFull,
    StaleEpoch,
    TaskNotFound,
)
from orchestra.features.tasks.repository import ending, waiting
from orchestra.features.tasks.repository.ending import Locked
from orchestra.features.tasks.repository.steps import Save
from orchestra.features.tasks.service.batching import Batcher
from orchestra.features.tasks.service.ends.ending import Stale, note_stale
from orchestra.features.tasks.service.orchestration import approvals, children, steps
from orchestra.features.tasks.service.orchestration.suspending import Leave, suspend
from orchestra.features.tasks.service.streams.keeping import Keeper
from orchestra.features.tasks.service.streams.lines import Lines
from orchestra.features.tasks.service.streams.run import Run
from orchestra.features.tasks.service.streams.session import Session
from orchestra.features.tasks.service.submitting.room import Room
from orchestra.features.tasks.types import HELD, TaskId, TaskState
from orchestra.foundation import clock, crash_points
from orchestra.foundation.auth import SYSTEM, Actor
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import OrchestraError, RateLimited, Unavailable
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One command with the lease under which it came; `text` is what the run has said."""

    task_id: TaskId
    epoch: int
    agent_id: uuid.UUID
    by: Actor
    command: pb.Command
    text: str = ""


class Commander:
    """Works for all runs of one control plane. `on_suspended` is told of runs that have left."""

    def __init__(
        self,
        *,
        database: Database,
        bus: Bus,
        outbox: Outbox,
        settings: Settings,
        keeper: Keeper,
        session_of: Callable[[Run], Session | None],
        on_suspended: Callable[[Run], None],
        on_stale: Callable[[Run, str], None],
    ) -> None:
        self._database, self._bus, self._outbox, self._settings = database, bus, outbox, settings
        self._keeper = keeper
        self._session_of = session_of
        self._on_suspended, self._on_stale = on_suspended, on_stale
        self._room = Room(database, settings)
        self._guard = Guard()
        self.lines = Lines()
        self._orders: Batcher[Order, pb.Reply] = Batcher("obey commands", self._obey_batch)

    async def take_in(self, run: Run, command: pb.Command) -> None:
        """Puts a run's command in line; waits while too many, or too large ones, are there."""
        run.last_event_at = clock.monotonic()
        if self.lines.add(run, command):
            self._guard.spawn(f"obey {run.task_id}", self._work(run))
        await self.lines.room(run)

    async def refuse(self, session: Session, run: Run, command: pb.Command) -> None:
        """Answers a command of a lease that is not here, as the database says."""
        order = _order(run, command, by=session.actor)
        try:
            reply = await self._orders.submit(order)
        except OrchestraError as error:
            reply = refusal(error)
        reply.id = command.id
        session.reply(run, reply)

    async def close(self) -> None:
        await self._guard.stop()
        await self._orders.close()

    async def _work(self, run: Run) -> None:
        try:
            while (command := self.lines.first(run)) is not None:
                await self._obey(run, command)
                self.lines.done(run)
        finally:
            self.lines.drop(run)

    async def _obey(self, run: Run, command: pb.Command) -> None:
        if command.WhichOneof("command") == "suspend":
            run.is_leaving = True
            await self._keeper.settle(run)
        try:
            reply = await self._reply(run, command)
        finally:
            run.is_leaving = False
        if reply is None:
            return
        reply.id = command.id
        session = self._session_of(run)
        if session is not None:
            session.reply(run, reply)
        if reply.HasField("suspended"):
            self._on_suspended(run)

    async def _reply(self, run: Run, command: pb.Command) -> pb.Reply | None:
        """Until the database has it; None when the lease was lost, or the run's end came first."""
        while not run.is_lost and run.final is None:
            session = self._session_of(run)
            try:
                order = _order(run, command, by=session.actor if session else SYSTEM)
                await self._look(run, command)
                return await self._orders.submit(order)
            except QueueFull as error:
                return refusal(error)
            except Unavailable as error:
                log.warning("a command waits", task_id=str(run.task_id), error=error.message)
            except (StaleEpoch, TaskNotFound) as error:
                self._on_stale(run, error.message)
                return None
            except OrchestraError as error:
                return refusal(error)
            except Exception:
                log.exception("a command cannot be kept", task_id=str(run.task_id))
                return refusal(BadCommand("The database cannot store this."))
            await asyncio.sleep(RETRY_SECONDS)
        return None

    async def _look(self, run: Run, command: pb.Command) -> None:
        """What has to be known before the transaction; raises StepsTooLarge."""
        if command.HasField("spawn"):
            await self._room.look()
        elif command.HasField("save_step"):
            step, carried = command.save_step, run.carried
            run.carried = await steps.check_size(
                self._database, self._settings, run.task_id, step, carried
            )

    async def _obey_batch(self, orders: Sequence[Order]) -> list[pb.Reply | Exception]:
        async with self._database.transaction() as tx:
            batch = _Batch(tx, self._outbox, self._bus, self._settings, self._room)
            outcomes = await batch.obey(orders)
            crash_points.reached("command.before-commit")
        crash_points.reached("command.before-answer")
        return outcomes


@dataclass(frozen=True, slots=True)
class _Batch:
    """Orders of different runs, or of one that comes again, in one transaction."""

    tx: Transaction
    outbox: Outbox
    bus: Bus
    settings: Settings
    room: Room

    async def obey(self, orders: Sequence[Order]) -> list[pb.Reply | Exception]:
        locked = await ending.lock(self.tx, [order.task_id for order in orders])
        outcomes: dict[int, pb.Reply | Exception] = {}
        for place, order in enumerate(orders):
            if (refused := _refused(order, locked)) is not None:
                outcomes[place] = await self._if_over(order, refused)
        outcomes |= await self._save({p: o for p, o in _others(orders, outcomes) if _is_save(o)})
        for place, order in _others(orders, outcomes):
            task = locked[order.task_id]
            try:
                async with self.tx.savepoint():
                    outcomes[place] = await self._do(order, task)
            except OrchestraError as error:
                if isinstance(error, Unavailable) and not isinstance(error, QueueFull):
                    raise
                outcomes[place] = error
        for order, outcome in zip(orders, (outcomes[p] for p in range(len(orders))), strict=True):
            if isinstance(outcome, StaleEpoch):
                what = order.command.WhichOneof("command") or ""
                stale = Stale(order.task_id, order.epoch, what, outcome.message)
                await note_stale(self.tx, order.by, stale)
        return [outcomes[place] for place in range(len(orders))]

    async def _if_over(self, order: Order, refused: OrchestraError) -> pb.Reply | Exception:
        """A suspension whose answer was lost is answered again."""
        is_suspend = order.command.WhichOneof("command") == "suspend"
        if is_suspend and await waiting.was_suspended(
            self.tx, order.task_id, order.epoch, order.agent_id
        ):
            return pb.Reply(suspended=pb.Suspended())
        return refused

    async def _save(self, orders: Mapping[int, Order]) -> dict[int, pb.Reply | Exception]:
        outcomes: dict[int, pb.Reply | Exception] = {}
        saves: dict[TaskId, tuple[int, Save]] = {}
        for place, order in orders.items():
            wanted = order.command.save_step
            try:
                item = steps.to_save(order.task_id, order.epoch, wanted, self.settings)
            except OrchestraError as error:
                outcomes[place] = error
            else:
                saves[order.task_id] = (place, item)
        kept = await steps.save(self.tx, [item for _, item in saves.values()], self.settings)
        for task_id, (place, _) in saves.items():
            outcomes[place] = kept[task_id] or pb.Reply(saved=pb.Saved())
        return outcomes

    async def _do(self, order: Order, task: Locked) -> pb.Reply:
        tx, command = self.tx, order.command
        kind = command.WhichOneof("command")
        if kind == "save_step":  # a second one of the same task
            return await self._save_alone(order)
        if kind is None:
            raise BadCommand
        if task.life.state is TaskState.CANCELLING:
            raise BeingCancelled
        if kind == "spawn":
            wanted = children.from_wire(command.spawn, task)
            found = await children.spawn(
                tx, self.bus, self.settings, task, wanted, reserve=self.room.reserve
            )
            return pb.Reply(spawned=pb.Spawned(task_ids=[str(task_id) for task_id in found]))
        if kind == "ask":
            asked, digest = await approvals.ask(tx, self.outbox, self.settings, task, command.ask)
            return pb.Reply(asked=pb.Asked(approval_id=str(asked), data_hash=digest))
        leave = Leave(task=task, by=order.by, wanted=command.suspend, text=order.text)
        there = await suspend(tx, self.outbox, self.bus, self.settings, leave)
        if there is None:
            return pb.Reply(suspended=pb.Suspended())
        return pb.Reply(resumed=steps.resumed(there, self.settings))

    async def _save_alone(self, order: Order) -> pb.Reply:
        outcome = (await self._save({0: order}))[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def refusal(error: OrchestraError) -> pb.Reply:
    """How an agent is told that a command was not obeyed."""
    may_come_back = isinstance(error, Unavailable | RateLimited)
    said = pb.Failure(code=error.code, message=error.message, retryable=may_come_back)
    return pb.Reply(refused=said)


def _order(run: Run, command: pb.Command, *, by: Actor) -> Order:
    is_suspend = command.WhichOneof("command") == "suspend"
    return Order(
        task_id=run.task_id,
        epoch=run.epoch,
        agent_id=run.agent_id,
        by=by,
        command=command,
        text=run.text if is_suspend else "",
    )


def _refused(order: Order, locked: Mapping[TaskId, Locked]) -> OrchestraError | None:
    """Why a command is not of a lease that its task has now."""
    task = locked.get(order.task_id)
    if task is None:
        return TaskNotFound()
    if task.life.epoch != order.epoch or task.life.state not in HELD:
        return StaleEpoch(f"Epoch {order.epoch} is over, the task is at {task.life.epoch}.")
    return StaleEpoch("The lease is another agent's.") if task.agent_id != order.agent_id else None


def _is_save(order: Order) -> bool:
    return order.command.WhichOneof("command") == "save_step"


def _others(
    orders: Sequence[Order], outcomes: Mapping[int, pb.Reply | Exception]
) -> list[tuple[int, Order]]:
    return [(place, order) for place, order in enumerate(orders) if place not in outcomes]

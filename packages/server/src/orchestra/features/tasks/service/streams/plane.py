"""One control plane: the streams of its agents and the runs on them, from Hello to the end."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.agents import ConnectedAgent, Registry
from orchestra.features.events import History, Outbox, gathered
from orchestra.features.tasks import events
from orchestra.features.tasks.repository import leases
from orchestra.features.tasks.repository.claiming import Claim
from orchestra.features.tasks.repository.leases import Held
from orchestra.features.tasks.service.announcing import tell
from orchestra.features.tasks.service.dispatch.dispatcher import Dispatcher
from orchestra.features.tasks.service.ends.ending import Claimed, Ended, Ending, lost, returned
from orchestra.features.tasks.service.orchestration import steps
from orchestra.features.tasks.service.streams.arriving import Arrivals
from orchestra.features.tasks.service.streams.assignment import (
    Undeliverable,
    assignment,
    life_of,
    run_of,
    subject_of,
    undeliverable,
)
from orchestra.features.tasks.service.streams.commands import Commander
from orchestra.features.tasks.service.streams.keeping import Keeper
from orchestra.features.tasks.service.streams.late import LateWords
from orchestra.features.tasks.service.streams.moving import Elsewhere
from orchestra.features.tasks.service.streams.probing import Prober
from orchestra.features.tasks.service.streams.receiving import Receiver
from orchestra.features.tasks.service.streams.resuming import resumed
from orchestra.features.tasks.service.streams.run import Run
from orchestra.features.tasks.service.streams.session import Session
from orchestra.features.tasks.service.streams.slots import Slots
from orchestra.features.tasks.service.streams.submitters import Submitters
from orchestra.features.tasks.types import TaskId, TaskState
from orchestra.foundation import clock
from orchestra.foundation.auth import Actor
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.database import Database
from orchestra.foundation.errors import Conflict, OrchestraError, Unavailable
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

MAX_SLOTS = 1_000
# The credential of a run lives ten minutes; a fresh one is sent well before.
TOKEN_SECONDS = 600.0
# Many runs are over within this, and then cost a message less.
ANNOUNCE_SECONDS = 0.005
IssueToken = Callable[[uuid.UUID, int, uuid.UUID, datetime], str]


class Plane:
    """Everything that one control plane holds."""

    def __init__(
        self,
        control_plane_id: str,
        *,
        database: Database,
        bus: Bus,
        outbox: Outbox,
        settings: Settings,
        registry: Registry,
        issue_token: IssueToken,
    ) -> None:
        self.id = control_plane_id
        self.database, self.bus, self.settings, self.registry = database, bus, settings, registry
        self.sessions: dict[uuid.UUID, Session] = {}
        self.runs: dict[TaskId, Run] = {}
        self.is_stopping = False
        self._detached = asyncio.Event()
        self.keeper = Keeper(
            database=database,
            bus=bus,
            outbox=outbox,
            settings=settings,
            session_of=self.session_of,
            on_end=self._on_end,
        )
        self.commander = Commander(
            database=database,
            bus=bus,
            outbox=outbox,
            settings=settings,
            keeper=self.keeper,
            session_of=self.session_of,
            on_suspended=self._remove,
            on_stale=self.lose,
        )
        self.prober = Prober(database=database, bus=bus, settings=settings)
        self.slots = Slots(
            registry=registry,
            keeper=self.keeper,
            session_of=self.session_of,
            give_up=self.give_up,
        )
        self.late = LateWords(database)
        self._receiver = Receiver(
            bus=bus,
            late=self.late,
            keeper=self.keeper,
            commander=self.commander,
            prober=self.prober,
            slots=self.slots,
            find=self.find,
        )
        self._submitters = Submitters(database)
        self._earlier: dict[TaskId, steps.Earlier] = {}  # of claims that are about to be assigned
        self.dispatcher = Dispatcher(
            registry=registry,
            database=database,
            bus=bus,
            settings=settings,
            deliver=self._deliver,
            prepare=self._prepare,
        )
        self._issue_token = issue_token
        self._history = History(bus)
        self._arrivals = Arrivals(database, self.late, control_plane_id=control_plane_id)
        self._elsewhere = Elsewhere(bus, control_plane_id=control_plane_id)
        self._attaching: defaultdict[uuid.UUID, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._guard = Guard()

    def session_of(self, run: Run) -> Session | None:
        """The stream on which the run's agent is here now."""
        session = self.sessions.get(run.agent_id)
        return session if session is not None and run.agent is session.agent else None

    def runs_of(self, agent_id: uuid.UUID) -> list[Run]:
        return [run for run in self.runs.values() if run.agent_id == agent_id]

    async def attach(self, actor: Actor, hello: pb.Hello) -> Session:
        """Lets an agent's stream in, and resumes what it still holds.

        Raises NotFound for an agent that is not the caller's, NameTaken, or Unavailable.
        """
        record = await self._arrivals.record(actor, hello.agent_id)
        agent_id = record.id
        async with self._attaching[agent_id]:
            if self.is_stopping:
                raise Unavailable("This control plane stops; connect again.")
            self.registry.check_free(record.id, hello.instance_id)
            await self._elsewhere.check_free(record, instance_id=hello.instance_id)
            if (former := self.sessions.get(agent_id)) is not None:
                await self.detach(former, Conflict("The agent has connected again."))
            notice = events.AttachedNotice(agent_id, self.id)
            await tell(self.bus, events.ATTACHED_SUBJECT, msgspec.json.encode(notice))
            held = await self._arrivals.note(record.id, hello)
            slots = min(MAX_SLOTS, hello.slots or record.slots)
            agent = self.registry.connect(
                record, instance_id=hello.instance_id, slots=slots, backlog=hello.backlog
            )
            try:
                session = Session(agent, actor, takes_batches=hello.takes_batches)
                return await self._begin(session, hello, held)
            except BaseException:
                self.registry.disconnect(agent)
                raise

    async def _begin(self, session: Session, hello: pb.Hello, held: Sequence[Held]) -> Session:
        """Welcomes: what both sides know goes on, what only the database knows is given away."""
        agent = session.agent
        running = {(item.task_id, item.epoch) for item in hello.running if not item.waiting}
        ours = [item for item in held if (str(item.task_id), item.epoch) in running]
        self._drop_strangers(agent.id, {(item.task_id, item.epoch) for item in held})
        runs = [await self._resume(item, agent) for item in ours]
        self.sessions[agent.id] = session
        for run in runs:
            run.attach(agent)
            self.slots.resume(session, run)
        if runs:
            async with self.database.transaction() as tx:
                await leases.renew(
                    tx, [run.lease for run in runs], seconds=self.settings.lease_seconds
                )
        session.welcome(runs)
        agent.welcomed = True
        self.prober.watch(session)
        for run, item in zip(runs, ours, strict=True):
            if item.is_cancelling:
                session.cancel(run, item.cancel_reason)
            self.keeper.work_on(run)
        waiting = {(item.task_id, item.epoch) for item in hello.running if item.waiting}
        for item in held:
            if item not in ours:
                self._give_away(item, has_begun=(str(item.task_id), item.epoch) not in waiting)
        self.registry.on_capacity(agent)
        return session

    async def detach(self, session: Session, error: Exception | None = None) -> None:
        """The stream is over: its runs wait for their agent to come back, but not for long."""
        session.close(error)
        if self.sessions.get(session.agent.id) is not session:
            return
        del self.sessions[session.agent.id]
        self._detached.set()
        self.registry.disconnect(session.agent)
        self.dispatcher.forget(session.agent)
        orphans = [run for run in self.runs.values() if run.agent is session.agent]
        for run in orphans:
            run.detach(grace_seconds=self._grace_of(session.agent))
        if orphans and not self.is_stopping:
            await self._shorten(orphans, self._grace_of(session.agent))

    def _grace_of(self, agent: ConnectedAgent) -> float:
        """How long runs wait for their agent's next stream, in seconds."""
        lease = self.settings.lease_seconds
        return lease if agent.restorable else min(lease, self.settings.agent_grace_seconds)

    async def receive(self, session: Session, message: pb.TaskMessage) -> None:
        """Takes in one message of a stream; raises BadMessage or SequenceGap, which end it."""
        await self._receiver.receive(session, message)

    def find(self, task_id: uuid.UUID, epoch: int) -> Run | None:
        run = self.runs.get(TaskId(task_id))
        return run if run is not None and run.epoch == epoch else None

    def abandon(self, run: Run) -> None:
        """Another control plane has the run now."""
        self._remove(run)

    def lose(self, run: Run, reason: str) -> None:
        """The lease is not this agent's any more: nothing of the run is kept from now on."""
        if self.runs.get(run.task_id) is not run:
            return
        session = self.session_of(run)
        if session is not None:
            session.revoke(run, reason)
        self.late.note(run.task_id, run.epoch, run.agent_id, at=run.last_event_at)
        self._remove(run)

    def give_up(self, run: Run, ending: Ending) -> None:
        """Takes a run from its agent, and ends it so."""
        self.lose(run, ending.reason)
        self.take_back_soon(ending)

    def fresh_token(self, run: Run) -> str:
        run.credential_at = clock.monotonic()
        expires_at = clock.now() + timedelta(seconds=TOKEN_SECONDS)
        return self._issue_token(run.task_id, run.epoch, run.user_id, expires_at)

    async def take_back(self, ending: Ending) -> None:
        """Ends a run from this side; somebody may have been quicker."""
        try:
            await self.keeper.end(ending)
        except OrchestraError as error:
            log.info("not taken back", task_id=str(ending.task_id), why=error.message)

    def take_back_soon(self, ending: Ending) -> None:
        self._guard.spawn(f"take back {ending.task_id}", self.take_back(ending))

    async def drain(self, *, seconds: float) -> None:
        """Asks all agents to connect elsewhere, and waits until they have, but not longer."""
        for session in self.sessions.values():
            session.agent.draining = True
            session.drain("This control plane stops.")
        try:
            async with asyncio.timeout(seconds):
                while self.sessions:
                    self._detached.clear()
                    await self._detached.wait()
        except TimeoutError:
            log.warning("agents did not move in time", count=len(self.sessions))

    async def close(self) -> None:
        await self.dispatcher.close()
        await self._arrivals.close()
        await self.commander.close()
        await self.keeper.close()
        await self._guard.stop()
        await self._history.close()

    async def _prepare(self, claims: Sequence[Claim]) -> None:
        await self._submitters.learn(claims)
        self._earlier |= await steps.of_claims(self.database, claims)

    def _deliver(self, claims: Sequence[tuple[ConnectedAgent, Claim]]) -> None:
        begun: list[Run] = []
        for agent, claim in claims:
            try:
                run = self._assign(agent, claim)
            except Exception:
                log.exception("a task cannot be sent", task_id=str(claim.id))
                self._give_back(claim)
            else:
                begun.extend([run] if run is not None else [])
        self._guard.spawn("announce runs", self._announce(begun))

    def _give_back(self, claim: Claim) -> None:
        """Of what breaks here only an attempt is lost, and nothing of the tasks beside it."""
        reason = "It could not be sent to its agent."
        ending = lost(claim.id, claim.epoch, reason, code="undeliverable")
        if (run := self.runs.get(claim.id)) is not None:
            self._remove(run)
        self.take_back_soon(ending)

    def _assign(self, agent: ConnectedAgent, claim: Claim) -> Run | None:
        """Puts a claimed task on its agent's stream."""
        run = run_of(claim, agent)
        earlier = self._earlier.pop(claim.id, steps.Earlier())
        self.runs[run.task_id] = run
        session = self.session_of(run)
        if session is None or session.is_closed:
            gone = returned(run.task_id, run.epoch, "The agent had gone.")
            return self._not_delivered(run, gone)
        try:
            message = assignment(
                claim,
                earlier,
                submitter=self._submitters.name(claim.user_id),
                run_token=self.fresh_token(run),
                largest=self.settings.max_grpc_message_bytes,
            )
        except Undeliverable as error:
            return self._not_delivered(run, undeliverable(run, error))
        run.carried = message.ByteSize()
        run.claimed = Claimed(subject_of(claim), life_of(claim))
        run.announce(events.status_event(run.claimed.subject, run.claimed.life))
        session.assign(run, message, priority=pb.TaskPriority.ValueType(claim.priority))
        return run

    def _not_delivered(self, run: Run, ending: Ending) -> None:
        self._remove(run)
        self.take_back_soon(ending)

    async def _announce(self, runs: Sequence[Run]) -> None:
        """Tells readers of runs that begin; of one that ends at once they hear all together."""
        pause = ANNOUNCE_SECONDS
        while runs:
            await asyncio.sleep(pause)
            pause = 4 * ANNOUNCE_SECONDS  # for those that wait at their agent
            left = [run for run in runs if run.final is None and not run.is_lost]
            begun = [(run, run.claimed) for run in left if run.begun and run.claimed]
            for run, _ in begun:
                self.keeper.work_on(run)
            told = [events.status_for_owner(known.subject, known.life) for _, known in begun]
            await self.bus.publish_soon(*gathered(told))
            runs = [run for run in left if not run.begun]

    async def _resume(self, held: Held, agent: ConnectedAgent) -> Run:
        run = self.runs.get(held.task_id)
        if run is not None and run.epoch == held.epoch:
            return run
        run = await resumed(self._history, held, agent, life_id=self.id)
        self.runs[run.task_id] = run
        return run

    def _drop_strangers(self, agent_id: uuid.UUID, held: set[tuple[TaskId, int]]) -> None:
        for run in self.runs_of(agent_id):
            if (run.task_id, run.epoch) not in held and run.final is None:
                self._remove(run)

    def _give_away(self, held: Held, *, has_begun: bool) -> None:
        """The agent has not begun it, or not what the database thinks it has: it was restarted."""
        run = self.runs.get(held.task_id)
        if run is not None and run.epoch == held.epoch:
            if run.final is not None:
                return  # its end was taken in and is being written
            has_begun = has_begun and run.begun
            self._remove(run)
        end = lost if has_begun else returned
        self.take_back_soon(end(held.task_id, held.epoch, "The agent was restarted."))

    async def _shorten(self, orphans: Sequence[Run], seconds: float) -> None:
        try:
            async with self.database.transaction() as tx:
                await leases.shorten(
                    tx, [run.lease for run in orphans if run.final is None], seconds=seconds
                )
        except OrchestraError as error:
            log.warning("leases were not shortened", why=error.message)

    def _on_end(self, run: Run, ended: Ended | None) -> None:
        if ended is not None and run.agent is not None:
            succeeded = ended.life.state is TaskState.SUCCEEDED
            if ended.life.state not in (TaskState.CANCELLED, TaskState.CANCELLING):
                seconds = clock.monotonic() - run.started_at
                run.agent.count(succeeded=succeeded, seconds=seconds)
        self._remove(run)

    def _remove(self, run: Run) -> None:
        run.is_lost = True
        run.tell_room()
        if self.runs.get(run.task_id) is run:
            del self.runs[run.task_id]
            self.slots.leave(run)

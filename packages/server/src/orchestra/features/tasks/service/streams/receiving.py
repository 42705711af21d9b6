"""What comes up an agent's stream: events and commands, refused if not under a lease."""

import uuid
from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as WireMessage
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.tasks import events
from orchestra.features.tasks.errors import BadMessage
from orchestra.features.tasks.service.streams.commands import Commander
from orchestra.features.tasks.service.streams.keeping import Keeper
from orchestra.features.tasks.service.streams.late import LateWords
from orchestra.features.tasks.service.streams.probing import Prober
from orchestra.features.tasks.service.streams.run import Run
from orchestra.features.tasks.service.streams.session import Session
from orchestra.features.tasks.service.streams.slots import Slots
from orchestra.features.tasks.types import TaskId
from orchestra.foundation import clock
from orchestra.foundation.messaging import Bus

_M = TypeVar("_M", bound=WireMessage)
_ENDS = frozenset({"result", "failure", "cancelled"})


class Receiver:
    """One for each control plane. `find` knows the run of a task under an epoch, if it is here."""

    def __init__(
        self,
        *,
        bus: Bus,
        late: LateWords,
        keeper: Keeper,
        commander: Commander,
        prober: Prober,
        slots: Slots,
        find: Callable[[TaskId, int], Run | None],
    ) -> None:
        self._prober, self._slots, self._late = prober, slots, late
        self._bus, self._keeper, self._commander, self._find = bus, keeper, commander, find

    async def receive(self, session: Session, message: pb.TaskMessage) -> None:
        """Takes in one message of a stream; raises BadMessage or SequenceGap, which end it."""
        if message.type == pb.TASK_TYPE_EVENTS:
            await self._events(session, message)
        elif message.type == pb.TASK_TYPE_COMMAND:
            await self._command(session, message)
        elif message.type == pb.TASK_TYPE_RETURN:
            self._slots.take_returned(session, self._returned(session, message))
        elif message.type == pb.TASK_TYPE_PROBE_RESULT:
            await self._prober.take(session, _payload(message, pb.ProbeResult()))
        elif message.type == pb.TASK_TYPE_HELLO:
            raise BadMessage("Hello comes once, as the first message.")
        elif message.type == pb.TASK_TYPE_DRAIN:  # it is stopping: it gets nothing new
            session.agent.draining, session.agent.parting = True, "it has stopped"

    async def _events(self, session: Session, message: pb.TaskMessage) -> None:
        task_id, batch = _unpack(message, pb.TaskEvents())
        run = self._run(session, task_id, message.epoch)
        if run is None:
            await self._refuse(session, _stranger(session, task_id, message.epoch), batch)
            return
        session.backlog.note_begun(run)
        was_over = run.final is not None
        logs = run.take_in(batch.events)
        session.agent.event_at = run.last_event_at
        if run.final is not None and not was_over:
            self._slots.note_final(session, run, run.final)
        if logs:
            await self._bus.publish_soon(
                *(events.log_line(task_id, run.epoch, number, line) for number, line in logs)
            )
        self._keeper.work_on(run)
        await self._keeper.room(run)

    async def _command(self, session: Session, message: pb.TaskMessage) -> None:
        task_id, command = _unpack(message, pb.Command())
        run = self._run(session, task_id, message.epoch)
        if run is not None:
            session.backlog.note_begun(run)
            await self._commander.take_in(run, command)
            return
        self._late.note(task_id, message.epoch, session.agent.id, at=clock.monotonic())
        stranger = _stranger(session, task_id, message.epoch)
        await self._commander.refuse(session, stranger, command)
        session.revoke(stranger, "The lease is over.")

    def _returned(self, session: Session, message: pb.TaskMessage) -> list[Run]:
        """Runs that an agent gives back, and that have said nothing."""
        said = pb.Return()
        try:
            message.payload.Unpack(said)
            named = [(TaskId(uuid.UUID(item.task_id)), item.epoch) for item in said.runs]
        except (DecodeError, ValueError) as error:
            raise BadMessage from error
        found = [self._run(session, task_id, epoch) for task_id, epoch in named]
        return [run for run in found if run is not None and not run.received]

    def _run(self, session: Session, task_id: TaskId, epoch: int) -> Run | None:
        run = self._find(task_id, epoch)
        return run if run is not None and run.agent is session.agent else None

    async def _refuse(self, session: Session, stranger: Run, batch: pb.TaskEvents) -> None:
        """Events of a lease that is not here; what would end it, the database refuses, audited."""
        ends = [event for event in batch.events if event.WhichOneof("event") in _ENDS]
        if ends:
            await self._keeper.refuse(stranger, ends[-1], session.actor)
        else:
            at = clock.monotonic()
            self._late.note(stranger.task_id, stranger.epoch, session.agent.id, at=at)
        session.revoke(stranger, "The lease is over.")


def _stranger(session: Session, task_id: TaskId, epoch: int) -> Run:
    """A run that is not here, to speak of it."""
    return Run(
        task_id=task_id,
        epoch=epoch,
        attempt=0,
        user_id=session.actor.owner,
        agent=session.agent,
        run_seconds=0,
        progress_timeout=0,
    )


def _unpack(message: pb.TaskMessage, into: _M) -> tuple[TaskId, _M]:
    """The task and the payload; raises BadMessage."""
    try:
        return TaskId(uuid.UUID(message.task_id)), _payload(message, into)
    except ValueError as error:
        raise BadMessage from error


def _payload(message: pb.TaskMessage, into: _M) -> _M:
    try:
        if not message.payload.Unpack(into):
            raise BadMessage
    except DecodeError as error:
        raise BadMessage from error
    return into

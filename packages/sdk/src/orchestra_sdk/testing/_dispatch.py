"""Which agent gets which task, and what is accepted from it: the rules of leases and epochs."""

from collections.abc import Iterable
from typing import Any

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _wire
from orchestra_sdk.testing._agents import AgentStream, ConnectedAgent, Registry
from orchestra_sdk.testing._orchestration import Orchestration
from orchestra_sdk.testing._task import SubmittedTask


class Dispatch:
    """Tasks: all of them, those that wait, and those that are leased."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.tasks: dict[str, SubmittedTask] = {}
        self._queued: dict[str, SubmittedTask] = {}
        self._leased: dict[str, dict[str, SubmittedTask]] = {}
        self._orchestration = Orchestration(self)
        self.replying = True

    def add(self, task: SubmittedTask) -> None:
        """Queue a new task, unless it was cancelled before its time came."""
        if task.finished:
            return
        self.tasks[task.id] = self._queued[task.id] = task
        self.dispatch()

    def dispatch(self) -> None:
        """Give queued tasks to agents with free slots, the oldest first."""
        full: set[str] = set()
        for task in list(self._queued.values()):
            capability = task.assignment.capability
            agent = None if capability in full else self._registry.free(capability, self._in_use)
            if agent is None:
                full.add(capability)
                continue
            del self._queued[task.id]
            self._leased.setdefault(agent.id, {})[task.id] = task
            task.leased(agent.id)
            self.assign(task, agent)

    def assign(self, task: SubmittedTask, agent: ConnectedAgent) -> None:
        """Send the assignment of the present lease."""
        assignment = pb.Assignment()
        assignment.CopyFrom(task.assignment)
        assignment.attempt = task.attempt
        assignment.steps.extend(task.steps.values())
        self._send(task, agent, pb.TASK_TYPE_ASSIGN, assignment)

    def cancel(self, task: SubmittedTask, reason: str) -> None:
        """Cancel a task: at once while it is queued, by asking the agent while it runs."""
        if task.state in ("queued", "waiting"):
            self._queued.pop(task.id, None)
            task.state = "cancelled"
            task.changed()
            self._orchestration.ended(task)
            return
        task.state = "cancelling"
        self.tell(task, pb.TASK_TYPE_CANCEL, pb.Cancel(reason=reason))

    def resume(self, task: SubmittedTask) -> None:
        """Queue a task whose wait is over."""
        task.state = "queued"
        self._queued[task.id] = task
        self.dispatch()

    def revoke(self, task: SubmittedTask) -> None:
        """Take the lease away and queue the task again."""
        holder = self._registry.agents[task.agent_id]
        self.tell(task, pb.TASK_TYPE_REVOKE, pb.Revoke(reason="the lease expired"))
        task.queued_again()
        self._released(task, holder)

    def tell(self, task: SubmittedTask, kind: "pb.TaskType.ValueType", payload: Any) -> None:
        """Send a message to the agent that holds the task."""
        self._send(task, self._registry.agents[task.agent_id], kind, payload)

    def lost(self, agent: ConnectedAgent) -> None:
        """Queue what an agent that did not come back has held."""
        for task in self._held(agent):
            task.queued_again()
            self._released(task, agent)

    def expire(self, agent: ConnectedAgent) -> None:
        """Take the leases of an agent back that is not connected."""
        if agent.stream is None:
            self.lost(agent)

    def welcome(self, agent: ConnectedAgent, hello: pb.Hello, stream: AgentStream) -> None:
        """Begin a stream: resume what the agent has, assign again what it never got."""
        agent.begin(hello, stream)
        told = {(item.task_id, item.epoch) for item in hello.running}
        held = self._held(agent)
        resumed = [
            pb.ResumedTask(task_id=task.id, epoch=task.epoch, sequence=len(task.events))
            for task in held
            if (task.id, task.epoch) in told
        ]
        welcome = pb.Welcome(resumed=resumed, takes_batches=True)
        stream.send(_wire.wrap(pb.TASK_TYPE_WELCOME, welcome, agent_id=agent.id))
        for task in held:
            if (task.id, task.epoch) not in told:
                self.assign(task, agent)
        self._registry.changed()
        self.dispatch()

    def receive(self, stream: AgentStream, message: pb.TaskMessage, *, acknowledging: bool) -> None:
        """Take a message of the present stream of an agent in."""
        agent = self._registry.of_stream(stream)
        if agent is None:
            return
        for each in _wire.messages_in(message):
            self._receive(agent, each, acknowledging=acknowledging)

    def _receive(
        self, agent: ConnectedAgent, message: pb.TaskMessage, *, acknowledging: bool
    ) -> None:
        if message.type == pb.TASK_TYPE_DRAIN:
            agent.draining = True
        elif message.type == pb.TASK_TYPE_EVENTS:
            self._events(agent, message, acknowledging=acknowledging)
        elif message.type == pb.TASK_TYPE_COMMAND:
            self._command(agent, message)
        elif message.type == pb.TASK_TYPE_PROBE_RESULT:
            result = _wire.unwrap(message, pb.ProbeResult)
            agent.probes[result.id] = result

    def _command(self, agent: ConnectedAgent, message: pb.TaskMessage) -> None:
        task = self.tasks[message.task_id]
        if task.agent_id != agent.id or task.epoch != message.epoch:
            task.refused += 1
            self._refuse_stale(task, agent, message)
            return
        reply = self._orchestration.answer(task, _wire.unwrap(message, pb.Command))
        if self.replying:
            self._send(task, agent, pb.TASK_TYPE_REPLY, reply, epoch=message.epoch)
        if task.state == "waiting":
            self._released(task, agent)

    def _refuse_stale(
        self, task: SubmittedTask, agent: ConnectedAgent, message: pb.TaskMessage
    ) -> None:
        failure = pb.Failure(code="stale_epoch", message="the lease is over")
        reply = pb.Reply(id=_wire.unwrap(message, pb.Command).id, refused=failure)
        self._send(task, agent, pb.TASK_TYPE_REPLY, reply, epoch=message.epoch)

    def _events(
        self, agent: ConnectedAgent, message: pb.TaskMessage, *, acknowledging: bool
    ) -> None:
        task = self.tasks[message.task_id]
        events = _wire.unwrap(message, pb.TaskEvents).events
        if task.finished or task.agent_id != agent.id or task.epoch != message.epoch:
            self._late(task, message.epoch, events)
            return
        for event in events:
            task.accept(event)
        over = task.finished or task.epoch != message.epoch
        if acknowledging:
            ack = pb.EventsAck(sequence=events[-1].sequence, final=over)
            self._send(task, agent, pb.TASK_TYPE_EVENTS_ACK, ack, epoch=message.epoch)
        if over:
            self._released(task, agent)
        if task.finished:
            self._orchestration.ended(task)

    def _late(self, task: SubmittedTask, epoch: int, events: Iterable[pb.AgentEvent]) -> None:
        """Refuse what comes when the lease is over; that a handler has left is good to know."""
        for event in events:
            if event.HasField("cancelled"):
                task.stopped.append(epoch)
                task.changed()
            else:
                task.refused += 1

    def _released(self, task: SubmittedTask, agent: ConnectedAgent) -> None:
        self._leased[agent.id].pop(task.id, None)
        if task.state == "queued":
            self._queued[task.id] = task
        self.dispatch()

    def _held(self, agent: ConnectedAgent) -> list[SubmittedTask]:
        return list(self._leased.get(agent.id, {}).values())

    def _in_use(self, agent: ConnectedAgent) -> int:
        return len(self._leased.get(agent.id, {}))

    def _send(
        self,
        task: SubmittedTask,
        agent: ConnectedAgent,
        kind: "pb.TaskType.ValueType",
        payload: Any,
        *,
        epoch: int | None = None,
    ) -> None:
        if agent.stream is None:
            return  # lost, as it would be
        epoch = task.epoch if epoch is None else epoch
        agent.stream.send(
            _wire.wrap(kind, payload, agent_id=agent.id, task_id=task.id, epoch=epoch)
        )

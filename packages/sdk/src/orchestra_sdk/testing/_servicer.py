"""The agent-facing calls of the contract, on the control plane in memory."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc
from orchestra_protocol import agent_pb2 as pb
from orchestra_protocol.agent_pb2_grpc import ModernAgentServiceServicer

from orchestra_sdk import _clock, _tasks, _wire
from orchestra_sdk.testing._agents import ConnectedAgent
from orchestra_sdk.testing._task import SubmittedTask

if TYPE_CHECKING:
    from orchestra_sdk.testing._plane import ControlPlane


class Stream:
    """The server's end of one long stream."""

    def __init__(self) -> None:
        self.outgoing: asyncio.Queue[pb.TaskMessage | None] = asyncio.Queue()
        self.dropped = False

    def send(self, message: pb.TaskMessage) -> None:
        """Queue a message."""
        self.outgoing.put_nowait(message)

    def drop(self) -> None:
        """Break the stream."""
        self.dropped = True
        self.end()

    def end(self) -> None:
        """End the stream after what is queued."""
        self.outgoing.put_nowait(None)


class Servicer(ModernAgentServiceServicer):
    """Registration, heartbeats and the long stream; the other calls are not for agents."""

    def __init__(self, plane: "ControlPlane") -> None:
        self._plane = plane

    async def RegisterAgent(  # noqa: N802 - the name is the contract's
        self, request: pb.RegisterAgentRequest, context: Any
    ) -> pb.RegisterAgentResponse:
        """Give the agent its id."""
        await self._authenticate(context)
        agent, lost = self._plane.registry.register(request)
        if lost:
            self._plane.lost(agent)
        return pb.RegisterAgentResponse(
            agent_id=agent.id,
            heartbeat_interval_seconds=self._plane.heartbeat_seconds,
            lease_seconds=self._plane.lease_seconds,
            max_message_bytes=self._plane.max_message_bytes,
            model_base_url=self._plane.model_base_url,
        )

    async def StreamHeartbeat(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.HeartbeatMessage], context: Any
    ) -> AsyncIterator[pb.HeartbeatResponse]:
        """Answer every heartbeat."""
        await self._authenticate(context)
        async for beat in request_iterator:
            await self._plane.held_back()
            self._plane.registry.agents[beat.agent_id].heartbeats.append(beat)
            yield pb.HeartbeatResponse(sequence=beat.sequence, timestamp=_clock.timestamp())

    async def TaskBidirectionalStream(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.TaskMessage], context: Any
    ) -> AsyncIterator[pb.TaskMessage]:
        """Take the agent's messages in, send what the plane says, until either side ends."""
        await self._authenticate(context)
        hello = _wire.unwrap(await anext(aiter(request_iterator)), pb.Hello)
        agent = self._plane.registry.agents[hello.agent_id]
        stream = Stream()
        self._welcome(agent, hello, stream)
        reader = _tasks.spawn(self._receive(agent, request_iterator), name="receive")
        reader.add_done_callback(lambda _: stream.end())
        try:
            while (message := await stream.outgoing.get()) is not None:
                await self._plane.held_back()
                yield message
        finally:
            reader.cancel()
            self._left(agent, stream)
        if stream.dropped:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the stream was dropped by the test")

    async def AssignTask(  # noqa: N802
        self, request: pb.AssignTaskRequest, context: Any
    ) -> AsyncIterator[pb.TaskEvent]:
        """Not for agents."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "submit with ControlPlane.submit")
        yield pb.TaskEvent()

    async def ListAgents(  # noqa: N802
        self, request: pb.ListAgentsRequest, context: Any
    ) -> AsyncIterator[pb.Agent]:
        """Not for agents."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "look at ControlPlane.registry")
        yield pb.Agent()

    async def GetRealTimeMetrics(  # noqa: N802
        self, request: pb.MetricsRequest, context: Any
    ) -> AsyncIterator[pb.MetricsSnapshot]:
        """Not for agents."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "look at ConnectedAgent.heartbeats")
        yield pb.MetricsSnapshot()

    async def _receive(
        self, agent: ConnectedAgent, messages: AsyncIterator[pb.TaskMessage]
    ) -> None:
        async for message in messages:
            if message.type == pb.TASK_TYPE_EVENTS:
                self._events(agent, message)
            elif message.type == pb.TASK_TYPE_DRAIN:
                agent.draining = True

    def _welcome(self, agent: ConnectedAgent, hello: pb.Hello, stream: Stream) -> None:
        agent.hellos.append(hello)
        agent.stream, agent.draining = stream, False
        held = {(item.task_id, item.epoch) for item in hello.running}
        resumed: list[pb.ResumedTask] = []
        missed: list[SubmittedTask] = []
        for task in self._plane.running_on(agent.id):
            if (task.id, task.epoch) in held:
                resumed.append(
                    pb.ResumedTask(task_id=task.id, epoch=task.epoch, sequence=len(task.events))
                )
            else:
                missed.append(task)
        welcome = pb.Welcome(resumed=resumed)
        stream.send(_wire.wrap(pb.TASK_TYPE_WELCOME, welcome, agent_id=agent.id))
        for task in missed:  # the assignment was lost on its way
            self._plane.assign(task, agent)
        self._plane.registry.changed()
        self._plane.dispatch()

    def _events(self, agent: ConnectedAgent, message: pb.TaskMessage) -> None:
        task = self._plane.tasks[message.task_id]
        events = _wire.unwrap(message, pb.TaskEvents).events
        if task.agent_id != agent.id or task.epoch != message.epoch:
            task.refused += len(events)
            return
        for event in events:
            task.accept(event)
        over = task.finished or task.epoch != message.epoch
        if self._plane.acknowledging and agent.stream is not None:
            ack = pb.EventsAck(sequence=events[-1].sequence, final=over)
            acknowledged = _wire.wrap(
                pb.TASK_TYPE_EVENTS_ACK,
                ack,
                agent_id=agent.id,
                task_id=task.id,
                epoch=message.epoch,
            )
            agent.stream.send(acknowledged)
        if over:
            self._plane.ended(task, agent)

    def _left(self, agent: ConnectedAgent, stream: Stream) -> None:
        if agent.stream is not stream:
            return
        agent.stream = None
        loop = asyncio.get_running_loop()
        loop.call_later(self._plane.lease_seconds, self._expire, agent)

    def _expire(self, agent: ConnectedAgent) -> None:
        if agent.stream is None:
            self._plane.lost(agent)

    async def _authenticate(self, context: Any) -> None:
        metadata = dict(context.invocation_metadata())
        if self._plane.denying or metadata.get("authorization") != f"Bearer {self._plane.key}":
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the key is not known")

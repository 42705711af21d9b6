"""The agent-facing calls of the contract, on the control plane in memory.

gRPC serves in threads, everything is decided on the event loop of the test. Not grpc.aio: it binds
to all loops of a process at once, and a late answer to the loop of an earlier test fails this one.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import grpc
from orchestra_protocol import agent_pb2 as pb
from orchestra_protocol.agent_pb2_grpc import ModernAgentServiceServicer

from orchestra_sdk import _clock, _wire
from orchestra_sdk.testing._waiting import WAIT_SECONDS

_T = TypeVar("_T")


class Stream:
    """The server's end of one long stream."""

    def __init__(self) -> None:
        self.outgoing: queue.SimpleQueue[pb.TaskMessage | None] = queue.SimpleQueue()
        self.dropped = False

    def send(self, message: pb.TaskMessage) -> None:
        """Queue a message."""
        self.outgoing.put(message)

    def drop(self) -> None:
        """Break the stream."""
        self.dropped = True
        self.end()

    def end(self) -> None:
        """End the stream after what is queued."""
        self.outgoing.put(None)


class Decisions(Protocol):
    """What the control plane does about a call; all but `accepts` is called on its event loop."""

    delay_seconds: float

    def accepts(self, authorization: str) -> bool: ...
    def register(self, request: pb.RegisterAgentRequest) -> pb.RegisterAgentResponse: ...
    def beat(self, beat: pb.HeartbeatMessage) -> None: ...
    def welcome(self, hello: pb.Hello, stream: Stream) -> None: ...
    def receive(self, stream: Stream, message: pb.TaskMessage) -> None: ...
    def left(self, stream: Stream) -> None: ...


class Servicer(ModernAgentServiceServicer):
    """Registration, heartbeats and the long stream; the other calls are not for agents."""

    def __init__(self, plane: Decisions) -> None:
        self._plane = plane
        self._loop = asyncio.get_running_loop()
        self.stopping = threading.Event()

    def RegisterAgent(  # noqa: N802 - the name is the contract's
        self, request: pb.RegisterAgentRequest, context: grpc.ServicerContext
    ) -> pb.RegisterAgentResponse:
        """Give the agent its id."""
        self._authenticate(context)
        return self._decide(self._plane.register, request)

    def StreamHeartbeat(  # noqa: N802
        self, request_iterator: Iterator[pb.HeartbeatMessage], context: grpc.ServicerContext
    ) -> Iterator[pb.HeartbeatResponse]:
        """Answer every heartbeat."""
        self._authenticate(context)
        for beat in request_iterator:
            self._hold_back()
            self._tell(self._plane.beat, beat)
            yield pb.HeartbeatResponse(sequence=beat.sequence, timestamp=_clock.timestamp())

    def TaskBidirectionalStream(  # noqa: N802
        self, request_iterator: Iterator[pb.TaskMessage], context: grpc.ServicerContext
    ) -> Iterator[pb.TaskMessage]:
        """Take the agent's messages in, send what the plane says, until either side ends."""
        self._authenticate(context)
        stream = Stream()
        context.add_callback(stream.end)
        hello = _wire.unwrap(next(request_iterator), pb.Hello)
        self._decide(self._plane.welcome, hello, stream)
        threading.Thread(target=self._receive, args=(stream, request_iterator), daemon=True).start()
        try:
            while (message := stream.outgoing.get()) is not None:
                self._hold_back()
                yield message
        finally:
            self._tell(self._plane.left, stream)
        if stream.dropped:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the stream was dropped by the test")

    def AssignTask(  # noqa: N802
        self, request: pb.AssignTaskRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.TaskEvent]:
        """Not for agents."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "submit with ControlPlane.submit")

    def ListAgents(  # noqa: N802
        self, request: pb.ListAgentsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.Agent]:
        """Not for agents."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "look at ControlPlane.registry")

    def GetRealTimeMetrics(  # noqa: N802
        self, request: pb.MetricsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.MetricsSnapshot]:
        """Not for agents."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "look at ConnectedAgent.heartbeats")

    def _receive(self, stream: Stream, messages: Iterator[pb.TaskMessage]) -> None:
        try:
            for message in messages:
                self._tell(self._plane.receive, stream, message)
        except grpc.RpcError:
            pass  # the agent has gone; that is what the end of the stream says
        finally:
            stream.end()

    def _authenticate(self, context: grpc.ServicerContext) -> None:
        metadata: dict[str, Any] = dict(context.invocation_metadata())
        if not self._plane.accepts(str(metadata.get("authorization"))):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the key is not known")

    def _hold_back(self) -> None:
        if self._plane.delay_seconds:
            self.stopping.wait(self._plane.delay_seconds)

    def _tell(self, action: Callable[..., None], *arguments: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action, *arguments)

    def _decide(self, action: Callable[..., _T], *arguments: Any) -> _T:
        """Return what `action` returns on the event loop."""

        async def decide() -> _T:
            return action(*arguments)

        return asyncio.run_coroutine_threadsafe(decide(), self._loop).result(WAIT_SECONDS)

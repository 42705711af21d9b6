"""One connection to the control plane, from registration to its end."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from orchestra_protocol import agent_pb2 as pb
from orchestra_protocol.agent_pb2_grpc import ModernAgentServiceStub

from orchestra_sdk import _wire
from orchestra_sdk._channel import open_channel
from orchestra_sdk._heartbeat import Heartbeat
from orchestra_sdk._outbox import Outbox
from orchestra_sdk._resources import Resources
from orchestra_sdk._table import RunTable
from orchestra_sdk._target import Target, seen_from_here

_ANSWER_SECONDS = 10.0  # for the registration and for the welcome
_DEFAULT_HEARTBEAT_SECONDS = 2.0
_DEFAULT_LEASE_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What outlives a session."""

    registration: pb.RegisterAgentRequest
    backlog: int
    outbox: Outbox
    table: RunTable
    resources: Resources
    slots_in_use: Callable[[], int]
    on_welcome: Callable[[pb.RegisterAgentResponse], None]
    on_probe: Callable[[pb.Probe], None]


class Session:
    """Registers, says hello and receives until the stream ends."""

    def __init__(self, parts: Parts, target: Target) -> None:
        self._parts = parts
        self._url = target.url
        self._channel = open_channel(target)
        self._stub = ModernAgentServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {target.key}"),)
        self._ended = threading.Event()
        self.welcomed = False

    def close(self) -> None:
        """End the session; can be called from any thread, more than once."""
        self._ended.set()
        self._parts.outbox.close()
        self._channel.close()  # ends every call on it, also a registration that has no answer yet

    def run(self) -> None:
        """Return when the stream ends; raises `grpc.RpcError` when it breaks or is refused."""
        try:
            registered = self._stub.RegisterAgent(
                self._parts.registration, metadata=self._metadata, timeout=_ANSWER_SECONDS
            )
            registered.model_base_url = seen_from_here(registered.model_base_url, self._url)
            # By this a gateway can bring all calls of an agent to the same control plane.
            self._metadata = (*self._metadata, ("orchestra-agent-id", registered.agent_id))
            self._follow(registered)
        except ValueError:
            if not self._ended.is_set():  # else: the channel was closed under a call that began
                raise
        finally:
            self.close()

    def _follow(self, registered: pb.RegisterAgentResponse) -> None:
        heartbeat = self._heartbeat(registered)
        heartbeat.start(self._stub, self._metadata)
        hello_limit = threading.Timer(_ANSWER_SECONDS, self._give_up_waiting)
        hello_limit.daemon = True
        hello_limit.start()
        try:
            stream = self._parts.outbox.open(self._hello(registered.agent_id))
            for message in self._stub.TaskBidirectionalStream(stream, metadata=self._metadata):
                if self._receive_all(message, registered):
                    return
        finally:
            hello_limit.cancel()
            heartbeat.stop()

    def _receive_all(self, message: pb.TaskMessage, registered: pb.RegisterAgentResponse) -> bool:
        """Apply a message or a batch; True when the agent should connect elsewhere."""
        with self._parts.outbox.lock:  # once for all of them
            return any(self._receive(each, registered) for each in _wire.messages_in(message))

    def _receive(self, message: pb.TaskMessage, registered: pb.RegisterAgentResponse) -> bool:
        """Apply a message; True when the agent should connect elsewhere."""
        if message.type == pb.TASK_TYPE_WELCOME:
            self.welcomed = True
            self._parts.on_welcome(registered)
            self._parts.table.resume(_wire.unwrap(message, pb.Welcome))
        elif message.type == pb.TASK_TYPE_DRAIN:
            return True
        elif message.type == pb.TASK_TYPE_RECALL:
            self._parts.table.give_back()
        elif message.type == pb.TASK_TYPE_PROBE:
            self._parts.on_probe(_wire.unwrap(message, pb.Probe))
        elif self.welcomed:
            self._parts.table.receive(message)
        return False

    def _give_up_waiting(self) -> None:
        if not self.welcomed:
            self.close()

    def _hello(self, agent_id: str) -> pb.TaskMessage:
        registration = self._parts.registration
        self._parts.outbox.agent_id = agent_id
        held = self._parts.table.held()
        running = [
            pb.RunningTask(
                task_id=run.task_id, epoch=run.epoch, waiting=not (run.begun or run.ended)
            )
            for run in held
        ]
        hello = pb.Hello(
            agent_id=agent_id,
            instance_id=registration.instance_id,
            slots=registration.slots,
            running=running,
            takes_batches=True,
            backlog=self._parts.backlog,
        )
        return _wire.wrap(pb.TASK_TYPE_HELLO, hello, agent_id=agent_id)

    def _heartbeat(self, registered: pb.RegisterAgentResponse) -> Heartbeat:
        lease = registered.lease_seconds or _DEFAULT_LEASE_SECONDS
        return Heartbeat(
            agent_id=registered.agent_id,
            interval_seconds=registered.heartbeat_interval_seconds or _DEFAULT_HEARTBEAT_SECONDS,
            patience_seconds=lease,
            slots_in_use=self._parts.slots_in_use,
            resources=self._parts.resources,
            on_silence=self.close,
        )

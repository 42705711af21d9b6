"""An agent of bare protobuf, whose every message a test decides."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message as WireMessage
from google.protobuf.struct_pb2 import Value
from orchestra.foundation.concurrency import Guard
from orchestra_protocol import agent_pb2 as pb
from orchestra_protocol.agent_pb2_grpc import ModernAgentServiceStub

WAIT_SECONDS = 10.0
PREFIX = "type.googleapis.com/ai_orchestra.v2."


@dataclass
class WireAgent:
    """An agent as somebody would write it from the proto file alone."""

    address: str
    key: str
    name: str = "wire"
    capabilities: tuple[str, ...] = ("echo",)
    slots: int = 4
    instance_id: str = "instance-1"
    agent_id: str = ""
    takes_batches: bool = False
    backlog: int = 0
    details: tuple[pb.Capability, ...] = ()
    waiting: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    inbox: asyncio.Queue[pb.TaskMessage] = field(default_factory=asyncio.Queue[pb.TaskMessage])
    outbox: asyncio.Queue[pb.TaskMessage | None] = field(
        default_factory=asyncio.Queue[pb.TaskMessage | None]
    )
    error: grpc.aio.AioRpcError | None = None
    commands: int = 0

    async def __aenter__(self) -> "WireAgent":
        self.channel = grpc.aio.insecure_channel(self.address)
        self.stub: Any = ModernAgentServiceStub(self.channel)
        self.metadata = (("authorization", f"Bearer {self.key}"),)
        registered = await self.stub.RegisterAgent(
            pb.RegisterAgentRequest(
                name=self.name,
                capabilities=self.capabilities,
                capability_details=self.details,
                slots=self.slots,
                instance_id=self.instance_id,
            ),
            metadata=self.metadata,
        )
        self.agent_id = registered.agent_id
        self.guard = Guard()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.guard.stop()
        await self.channel.close()

    async def connect(self, *running: tuple[str, int], seconds: float = WAIT_SECONDS) -> pb.Welcome:
        """Opens the stream with Hello and waits for Welcome."""
        await self.outbox.put(None)  # ends what the stream before was still waiting for
        self.inbox, self.outbox, self.error = asyncio.Queue(), asyncio.Queue(), None
        self.call = self.stub.TaskBidirectionalStream(self._outgoing(), metadata=self.metadata)
        await self.send(pb.TASK_TYPE_HELLO, self._hello(running))
        self.reading = self.guard.spawn("wire-agent", self._read())
        self.beating = self.guard.spawn("wire-beat", self._beat())
        message = await self.next(pb.TASK_TYPE_WELCOME, seconds=seconds)
        welcome = pb.Welcome()
        message.payload.Unpack(welcome)
        return welcome

    def _hello(self, running: Sequence[tuple[str, int]]) -> pb.Hello:
        held = [pb.RunningTask(task_id=task, epoch=epoch) for task, epoch in running]
        held += [pb.RunningTask(task_id=task, epoch=at, waiting=True) for task, at in self.waiting]
        return pb.Hello(
            agent_id=self.agent_id,
            instance_id=self.instance_id,
            slots=self.slots,
            running=held,
            takes_batches=self.takes_batches,
            backlog=self.backlog,
        )

    async def disconnect(self) -> None:
        self.beating.cancel()
        self.call.cancel()
        await asyncio.wait({self.reading, self.beating})

    async def send(
        self, kind: pb.TaskType.ValueType, payload: WireMessage, *, task: str = "", epoch: int = 0
    ) -> None:
        about = pb.TaskMessage(task_id=task, epoch=epoch)
        await self.outbox.put(self.message(kind, payload, about))

    @staticmethod
    def message(
        kind: pb.TaskType.ValueType, payload: WireMessage, about: pb.TaskMessage
    ) -> pb.TaskMessage:
        """A message of the stream about the task and lease of another."""
        content = AnyMessage(
            type_url=PREFIX + payload.DESCRIPTOR.name, value=payload.SerializeToString()
        )
        return pb.TaskMessage(
            task_id=about.task_id,
            agent_id="ignored",
            type=kind,
            payload=content,
            epoch=about.epoch,
        )

    async def say(self, task: pb.TaskMessage, *events: pb.AgentEvent) -> None:
        batch = pb.TaskEvents(events=events)
        await self.send(pb.TASK_TYPE_EVENTS, batch, task=task.task_id, epoch=task.epoch)

    async def next(self, *kinds: pb.TaskType.ValueType, seconds: float = WAIT_SECONDS) -> Any:
        """The next message of one of the kinds; others are dropped."""
        async with asyncio.timeout(seconds):
            while True:
                message = await self.inbox.get()
                if not kinds or message.type in kinds:
                    return message

    async def assigned(self, seconds: float = WAIT_SECONDS) -> pb.TaskMessage:
        return await self.next(pb.TASK_TYPE_ASSIGN, seconds=seconds)

    async def command(self, task: pb.TaskMessage, command: pb.Command) -> None:
        """Sends a command; `ask_for` waits for its reply, too."""
        self.commands += 1
        command.id = command.id or self.commands
        await self.send(pb.TASK_TYPE_COMMAND, command, task=task.task_id, epoch=task.epoch)

    async def ask_for(self, task: pb.TaskMessage, command: pb.Command) -> pb.Reply:
        await self.command(task, command)
        return await self.replied(command.id)

    async def replied(self, number: int) -> pb.Reply:
        """The reply to that command; what comes before it is kept for `next`."""
        reply, others = pb.Reply(), list[pb.TaskMessage]()
        while reply.id != number:
            message = await self.next()
            if message.type == pb.TASK_TYPE_REPLY:
                message.payload.Unpack(reply)
            else:
                others.append(message)
        for message in others:
            self.inbox.put_nowait(message)
        return reply

    async def ended(self) -> grpc.aio.AioRpcError | None:
        """Waits for the end of the stream; how it ended."""
        await asyncio.wait({self.reading}, timeout=WAIT_SECONDS)
        assert self.reading.done(), "the stream has not ended"
        return self.error

    async def acked(self) -> pb.EventsAck:
        ack = pb.EventsAck()
        (await self.next(pb.TASK_TYPE_EVENTS_ACK)).payload.Unpack(ack)
        return ack

    @staticmethod
    def token(sequence: int, text: str) -> pb.AgentEvent:
        return pb.AgentEvent(sequence=sequence, token=pb.Token(text=text))

    @staticmethod
    def assignment(task: pb.TaskMessage) -> pb.Assignment:
        assignment = pb.Assignment()
        task.payload.Unpack(assignment)
        return assignment

    @staticmethod
    def save(name: str, text: str) -> pb.Command:
        output = Value(string_value=text)
        return pb.Command(save_step=pb.SaveStep(name=name, output=output))

    @staticmethod
    def spawn(*names: str, capability: str = "child", **more: Any) -> pb.Command:
        """Children whose input is their name."""
        children = [
            pb.Child(name=name, capability=capability, input=Value(string_value=name), **more)
            for name in names
        ]
        return pb.Command(spawn=pb.Spawn(children=children))

    @staticmethod
    def suspend(*names: str, **more: Any) -> pb.Command:
        return pb.Command(suspend=pb.Suspend(names=names, **more))

    @staticmethod
    def result(sequence: int, text: str = "done") -> pb.AgentEvent:
        return pb.AgentEvent(sequence=sequence, result=pb.Result(output=Value(string_value=text)))

    @staticmethod
    def failure(sequence: int, code: str, *, retryable: bool) -> pb.AgentEvent:
        said = pb.Failure(code=code, message="It broke.", retryable=retryable)
        return pb.AgentEvent(sequence=sequence, failure=said)

    async def _outgoing(self) -> AsyncIterator[pb.TaskMessage]:
        while (message := await self.outbox.get()) is not None:
            yield message

    async def _read(self) -> None:
        try:
            async for message in self.call:
                inside = pb.Batch()
                if message.type == pb.TASK_TYPE_BATCH:
                    message.payload.Unpack(inside)
                for each in inside.messages or (message,):
                    await self.inbox.put(each)
        except grpc.aio.AioRpcError as error:
            self.error = error
        except asyncio.CancelledError:
            if not self.call.cancelled():
                raise

    async def _beat(self) -> None:
        async def beats() -> AsyncIterator[pb.HeartbeatMessage]:
            number = 0
            while True:
                number += 1
                yield pb.HeartbeatMessage(agent_id=self.agent_id, sequence=number)
                await asyncio.sleep(0.2)

        with contextlib.suppress(grpc.aio.AioRpcError):
            async for _ in self.stub.StreamHeartbeat(beats(), metadata=self.metadata):
                pass

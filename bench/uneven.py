"""Three agents of bare gRPC that differ: `python -m bench.uneven ADDRESS LEDGER`.

One is quick, one slow, and one on a machine that is busy, which it says and which makes it slower.
Each has eight slots. A line in the ledger for every task: when it was submitted, when it was done
(nanoseconds on the monotonic clock), its key, and by whom.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value
from orchestra_protocol import agent_pb2 as pb
from orchestra_protocol.agent_pb2_grpc import ModernAgentServiceStub

CAPABILITY = "uneven"
KEY_VARIABLE = "BENCH_KEY"
PREFIX = "type.googleapis.com/ai_orchestra.v2."
SLOTS = 8
BEAT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Kind:
    """An agent's name, how long a task takes on it, and how busy its machine is, 0 to 1."""

    name: str
    seconds: float
    cpu_usage: float


KINDS = (Kind("quick", 0.02, 0.1), Kind("slow", 0.12, 0.1), Kind("busy", 0.06, 0.9))


@dataclass
class UnevenAgent:
    """One of them, until its stream ends."""

    kind: Kind
    stub: Any
    metadata: tuple[tuple[str, str], ...]
    ledger: Path
    outbox: asyncio.Queue[pb.TaskMessage] = field(
        default_factory=lambda: asyncio.Queue[pb.TaskMessage](maxsize=1_000)
    )
    at_work: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    agent_id: str = ""

    async def live(self) -> None:
        said = pb.RegisterAgentRequest(
            name=self.kind.name, capabilities=[CAPABILITY], slots=SLOTS, instance_id=self.kind.name
        )
        self.agent_id = (await self.stub.RegisterAgent(said, metadata=self.metadata)).agent_id
        self.metadata = (*self.metadata, ("orchestra-agent-id", self.agent_id))
        hello = pb.Hello(agent_id=self.agent_id, instance_id=self.kind.name, slots=SLOTS)
        await self._send(pb.TASK_TYPE_HELLO, hello)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            group.create_task(self._work())

    async def _beat(self) -> None:
        async for _ in self.stub.StreamHeartbeat(self._beats(), metadata=self.metadata):
            pass

    async def _beats(self) -> AsyncIterator[pb.HeartbeatMessage]:
        load = pb.ResourceMetrics(cpu_usage=self.kind.cpu_usage)
        sequence = 0
        while True:
            sequence += 1
            yield pb.HeartbeatMessage(agent_id=self.agent_id, sequence=sequence, resources=load)
            await asyncio.sleep(BEAT_SECONDS)

    async def _work(self) -> None:
        call = self.stub.TaskBidirectionalStream(self._outgoing(), metadata=self.metadata)
        async for message in call:
            if message.type == pb.TASK_TYPE_ASSIGN:
                task = asyncio.get_running_loop().create_task(self._do(message))
                self.at_work.add(task)
                task.add_done_callback(self.at_work.discard)

    async def _do(self, message: pb.TaskMessage) -> None:
        assignment = pb.Assignment()
        message.payload.Unpack(assignment)
        given = assignment.input.struct_value.fields
        await asyncio.sleep(self.kind.seconds)
        words = (given["sent_ns"].string_value, time.monotonic_ns(), given["key"].string_value)
        with self.ledger.open("a") as ledger:
            ledger.write(f"{words[0]} {words[1]} {words[2]} {self.kind.name}\n")
        done = pb.AgentEvent(sequence=1, result=pb.Result(output=Value(bool_value=True)))
        events = pb.TaskEvents(events=[done])
        await self._send(pb.TASK_TYPE_EVENTS, events, task=message)

    async def _send(
        self, kind: pb.TaskType.ValueType, payload: Message, *, task: pb.TaskMessage | None = None
    ) -> None:
        content = AnyMessage(
            type_url=PREFIX + payload.DESCRIPTOR.name, value=payload.SerializeToString()
        )
        message = pb.TaskMessage(type=kind, payload=content)
        if task is not None:
            message.task_id, message.epoch = task.task_id, task.epoch
        await self.outbox.put(message)

    async def _outgoing(self) -> AsyncIterator[pb.TaskMessage]:
        while True:
            yield await self.outbox.get()


async def main(address: str, ledger: Path) -> None:
    metadata = (("authorization", f"Bearer {os.environ[KEY_VARIABLE]}"),)
    async with asyncio.TaskGroup() as group, grpc.aio.insecure_channel(address) as channel:
        stub = ModernAgentServiceStub(channel)
        for kind in KINDS:
            group.create_task(UnevenAgent(kind, stub, metadata, ledger).live())
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))

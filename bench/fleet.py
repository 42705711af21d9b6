"""Thousands of agents of bare gRPC in one process: `python -m bench.fleet ADDRESS COUNT SECONDS`.

Each has a connection of its own, as agents on machines of their own have, with a stream of tasks
and one of heartbeats, a beat every SECONDS or less often if the server asks for that. Prints the
time on the monotonic clock, in nanoseconds, whenever all are attached again. The key is in the
environment. A process may hold 20,000 files.
"""

import asyncio
import os
import resource
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from orchestra.foundation import ids
from orchestra_protocol import agent_pb2 as pb
from orchestra_protocol.agent_pb2_grpc import ModernAgentServiceStub

KEY_VARIABLE = "BENCH_KEY"
PREFIX = "type.googleapis.com/ai_orchestra.v2."
# Connecting all at once fails: what comes back together is spread by jitter, and bounded here.
AT_ONCE = 100
ATTACH_SECONDS = 20.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, GROWTH = 0.25, 10.0, 1.5
OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.default_authority", "localhost"),
)


@dataclass
class Fleet:
    """What all agents share."""

    address: str
    wanted: int
    beat_seconds: float
    metadata: tuple[tuple[str, str], ...]
    attached: int = 0
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def changed(self, by: int) -> None:
        self.attached += by
        if by > 0 and self.attached == self.wanted:
            print(time.monotonic_ns(), flush=True)


class FleetAgent:
    """One agent, for ever: connects, beats, and connects again."""

    def __init__(self, fleet: Fleet, number: int) -> None:
        self._fleet = fleet
        self._name = f"fleet-{number}"
        self._id = ""
        self._failures = 0

    async def live(self) -> None:
        channel = grpc.aio.insecure_channel(self._fleet.address, options=OPTIONS)
        stub = ModernAgentServiceStub(channel)
        while True:
            try:
                await self._session(stub)
            except (grpc.aio.AioRpcError, grpc.aio.UsageError, TimeoutError, EOFError):
                self._failures += 1
            longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * GROWTH**self._failures)
            await asyncio.sleep(ids.full_jitter(longest))

    async def _session(self, stub: Any) -> None:
        async with self._fleet.gate, asyncio.timeout(ATTACH_SECONDS):
            call = await self._attach(stub)
        self._failures = 0
        self._fleet.changed(+1)
        beating = asyncio.get_running_loop().create_task(self._beat(stub))
        try:
            while await call.read() is not grpc.aio.EOF:
                pass
        finally:
            self._fleet.changed(-1)
            beating.cancel()
            await asyncio.wait({beating})

    async def _attach(self, stub: Any) -> Any:
        metadata = self._fleet.metadata
        if not self._id:
            request = pb.RegisterAgentRequest(
                name=self._name, capabilities=["fleet"], slots=1, instance_id=self._name
            )
            self._id = (await stub.RegisterAgent(request, metadata=metadata)).agent_id
        call = stub.TaskBidirectionalStream(metadata=metadata)
        hello = pb.Hello(agent_id=self._id, instance_id=self._name, slots=1)
        await call.write(_message(pb.TASK_TYPE_HELLO, hello))
        if await call.read() is grpc.aio.EOF:
            raise EOFError
        return call

    async def _beat(self, stub: Any) -> None:
        """Begins at a time of its own, so that the beats of all are spread."""
        await asyncio.sleep(ids.full_jitter(self._fleet.beat_seconds))
        call = stub.StreamHeartbeat(metadata=self._fleet.metadata)
        sequence = 0
        try:
            while True:
                sequence += 1
                await call.write(pb.HeartbeatMessage(agent_id=self._id, sequence=sequence))
                answer = await call.read()
                if answer is grpc.aio.EOF:
                    return
                await asyncio.sleep(max(self._fleet.beat_seconds, answer.interval_seconds))
        except grpc.aio.AioRpcError:
            return  # the other stream breaks, too, and both begin again
        finally:
            call.cancel()


def _message(kind: pb.TaskType.ValueType, payload: Message) -> pb.TaskMessage:
    content = AnyMessage(
        type_url=PREFIX + payload.DESCRIPTOR.name, value=payload.SerializeToString()
    )
    return pb.TaskMessage(type=kind, payload=content)


async def main(address: str, count: int, beat_seconds: float) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    metadata = (("authorization", f"Bearer {os.environ[KEY_VARIABLE]}"),)
    fleet = Fleet(address, count, beat_seconds, metadata)
    await asyncio.gather(*(FleetAgent(fleet, number).live() for number in range(count)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))

"""The same service as anybody would write it in an hour: grpc.aio, a dictionary, a queue for each.

`python -m bench.peers.naive_grpc PORT`. It knows nothing of credentials, databases or leases.
"""

import asyncio
import resource
import sys
import time
import uuid
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import grpc.aio
from orchestra_protocol import agent_pb2 as pb
from orchestra_protocol.agent_pb2_grpc import (
    ModernAgentServiceServicer,
    add_ModernAgentServiceServicer_to_server,
)


class Naive:
    """Who is connected, when each was last heard, and what waits for it."""

    def __init__(self) -> None:
        self.heard: dict[str, float] = {}
        self.waiting: dict[str, asyncio.Queue[pb.TaskMessage]] = {}

    async def RegisterAgent(  # noqa: N802 - the wire's name
        self, _request: pb.RegisterAgentRequest, _context: Any
    ) -> pb.RegisterAgentResponse:
        return pb.RegisterAgentResponse(agent_id=str(uuid.uuid4()))

    async def TaskBidirectionalStream(  # noqa: N802 - the wire's name
        self, request: AsyncIterator[pb.TaskMessage], _context: Any
    ) -> AsyncIterator[pb.TaskMessage]:
        first = await anext(request)
        hello = pb.Hello()
        first.payload.Unpack(hello)
        queue = self.waiting[hello.agent_id] = asyncio.Queue()
        yield pb.TaskMessage(type=pb.TASK_TYPE_WELCOME)
        while True:
            yield await queue.get()

    async def StreamHeartbeat(  # noqa: N802 - the wire's name
        self, request: AsyncIterator[pb.HeartbeatMessage], _context: Any
    ) -> AsyncIterator[pb.HeartbeatResponse]:
        async for beat in request:
            self.heard[beat.agent_id] = time.monotonic()
            yield pb.HeartbeatResponse(sequence=beat.sequence)


def _service(naive: Naive) -> ModernAgentServiceServicer:
    """With the rpcs that agents do not call left out."""
    rpcs = SimpleNamespace(
        RegisterAgent=naive.RegisterAgent,
        StreamHeartbeat=naive.StreamHeartbeat,
        TaskBidirectionalStream=naive.TaskBidirectionalStream,
        ListAgents=None,
        GetRealTimeMetrics=None,
        AssignTask=None,
    )
    return cast("ModernAgentServiceServicer", rpcs)


async def main(port: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = grpc.aio.server()
    add_ModernAgentServiceServicer_to_server(_service(Naive()), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

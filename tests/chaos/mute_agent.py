"""An agent that takes tasks, sends its heartbeats, and never says a word about what it took.

Written from the proto file alone: the SDK would not behave like this.
"""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from orchestra_protocol import agent_pb2 as pb
from orchestra_protocol.agent_pb2_grpc import ModernAgentServiceStub

BEAT_SECONDS = 0.5
SLOTS = 8


def main() -> int:
    name, queue = os.environ["CHAOS_AGENT"], os.environ["CHAOS_QUEUE"]
    key = Path(os.environ["ORCHESTRA_KEY_FILE"]).read_text().strip()
    channel = grpc.insecure_channel(os.environ["ORCHESTRA_URL"].removeprefix("http://"))
    stub: Any = ModernAgentServiceStub(channel)
    metadata = (("authorization", f"Bearer {key}"),)
    registered = stub.RegisterAgent(
        pb.RegisterAgentRequest(name=name, capabilities=[queue], slots=SLOTS, instance_id="mute"),
        metadata=metadata,
        timeout=10,
    )
    threading.Thread(target=_beat, args=(stub, metadata, registered.agent_id), daemon=True).start()
    hello = pb.Hello(agent_id=registered.agent_id, instance_id="mute", slots=SLOTS)
    for _ in stub.TaskBidirectionalStream(_say_once(hello), metadata=metadata):
        pass
    return 0


def _say_once(hello: pb.Hello) -> Iterator[pb.TaskMessage]:
    content = AnyMessage()
    content.Pack(hello)
    yield pb.TaskMessage(agent_id=hello.agent_id, type=pb.TASK_TYPE_HELLO, payload=content)
    threading.Event().wait()


def _beat(stub: Any, metadata: tuple[tuple[str, str], ...], agent_id: str) -> None:
    def beats() -> Iterator[pb.HeartbeatMessage]:
        number, pause = 0, threading.Event()
        while not pause.wait(BEAT_SECONDS):
            number += 1
            yield pb.HeartbeatMessage(agent_id=agent_id, sequence=number)

    for _ in stub.StreamHeartbeat(beats(), metadata=metadata):
        pass


if __name__ == "__main__":
    sys.exit(main())

"""Thousands of agents of bare gRPC in one process: `python -m bench.fleet ADDRESS COUNT SECONDS`.

Each has a connection of its own, as agents on machines of their own have, with a stream of tasks
and one of heartbeats, a beat every SECONDS, or less often if the server asks for that (after
SIGUSR1 not any more). A task is done as soon as it comes: those that say when they were sent go
into a ledger when the server has kept their end. Prints the time on the monotonic clock, in
nanoseconds, whenever all are attached again. The key is in the environment. A process may hold
20,000 files.
"""

import asyncio
import os
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import uvloop
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from orchestra.foundation import ids
from orchestra_protocol import agent_pb2 as pb

from bench.fleet_wire import Call, Connection, headers, literal
from bench.ledger import Writer

KEY_VARIABLE = "BENCH_KEY"
OTHERS_VARIABLE = "BENCH_OTHERS_LEDGER"  # of tasks that are not critical
CAPABILITY = "fleet"
SENT = "sent_ns"
PREFIX = "type.googleapis.com/ai_orchestra.v2."
SERVICE = "/ai_orchestra.v2.ModernAgentService/"
REGISTER, TASKS, BEATS = (
    literal(":path", SERVICE + name)
    for name in ("RegisterAgent", "TaskBidirectionalStream", "StreamHeartbeat")
)
# Connecting all at once fails: what comes back together is spread by jitter, and bounded here.
AT_ONCE = 100
ATTACH_SECONDS = 20.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, GROWTH = 0.25, 10.0, 1.5
P = TypeVar("P", bound=Message)


@dataclass
class Fleet:
    """What all agents share."""

    address: str
    wanted: int
    beat_seconds: float
    metadata: bytes
    obeys: bool = True  # the server's wish for fewer beats
    attached: int = 0
    attaching: int = 0
    waiting: deque["FleetAgent"] = field(default_factory=deque["FleetAgent"])
    urgent: Writer = field(default_factory=Writer)
    others: Writer = field(default_factory=lambda: Writer(OTHERS_VARIABLE))

    def changed(self, by: int) -> None:
        self.attached += by
        if by > 0 and self.attached == self.wanted:
            print(time.monotonic_ns(), flush=True)

    def queue(self, agent: "FleetAgent") -> None:
        """Lets the agent attach when its turn comes."""
        self.waiting.append(agent)
        self._next()

    def had_turn(self) -> None:
        self.attaching -= 1
        self._next()

    def _next(self) -> None:
        while self.waiting and self.attaching < AT_ONCE:
            self.attaching += 1
            self.waiting.popleft().attach()


class FleetAgent:
    """One agent, for ever: connects, beats, works, and connects again."""

    __slots__ = (
        "_beats", "_connection", "_failures", "_fleet", "_id", "_is_attached", "_is_attaching",
        "_name", "_sent", "_sequence", "_tasks", "_timer",
    )  # fmt: skip

    def __init__(self, fleet: Fleet, number: int) -> None:
        self._fleet = fleet
        self._name = f"fleet-{number}"
        self._id = ""
        self._failures = self._sequence = 0
        self._connection: Connection | None = None
        self._tasks: Call | None = None
        self._beats: Call | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_attached = self._is_attaching = False
        self._sent: dict[str, tuple[int, Writer]] = {}

    def attach(self) -> None:
        """Its turn: connects if it has to, registers if it never has, and says hello."""
        self._is_attaching = True
        self._later(ATTACH_SECONDS, self._too_late)
        if self._connection is None:
            # The loop holds only weak references; the connection refers to this agent.
            _connecting.add(task := asyncio.get_running_loop().create_task(self._connect()))
            task.add_done_callback(_connecting.discard)
        elif self._id:
            self._hello()
        else:
            self._register(self._connection)

    async def _connect(self) -> None:
        host, _, port = self._fleet.address.rpartition(":")
        connection = Connection(self._fleet.metadata, self._lost)
        try:
            async with asyncio.timeout(ATTACH_SECONDS):
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: connection, host, int(port))
        except OSError:
            self._again()
            return
        # One that was lost before this task went on has told so already, and tells no more.
        if connection.is_open:
            self._connection = connection
            if self._is_attaching:
                self.attach()

    def _too_late(self) -> None:
        """Begins anew with another connection: this one may be the reason."""
        if self._connection is None:
            self._again()
        else:
            self._connection.abort()

    def _lost(self) -> None:
        self._connection = None
        self._again()

    def _register(self, connection: Connection) -> None:
        request = pb.RegisterAgentRequest(
            name=self._name, capabilities=[CAPABILITY], slots=1, instance_id=self._name
        )
        call = connection.call(REGISTER, on_message=self._registered, on_end=self._unregistered)
        call.send(request.SerializeToString(), is_last=True)

    def _registered(self, message: bytes) -> None:
        self._id = pb.RegisterAgentResponse.FromString(message).agent_id
        self._hello()

    def _unregistered(self) -> None:
        if not self._id:
            self._again()

    def _hello(self) -> None:
        if self._connection is None or not self._is_attaching:
            return
        self._tasks = self._connection.call(TASKS, on_message=self._on_task, on_end=self._again)
        hello = pb.Hello(agent_id=self._id, instance_id=self._name, slots=1)
        self._tasks.send(_message(pb.TASK_TYPE_HELLO, hello))

    def _on_task(self, content: bytes) -> None:
        if not self._is_attached:
            self._welcomed()
            return
        message = pb.TaskMessage.FromString(content)
        if message.type == pb.TASK_TYPE_ASSIGN:
            self._work(message)
        elif message.type == pb.TASK_TYPE_EVENTS_ACK:
            self._acknowledged(message)
        elif message.type == pb.TASK_TYPE_PROBE and self._tasks is not None:
            result = pb.ProbeResult(id=_payload(message, pb.Probe).id, healthy=True)
            self._tasks.send(_message(pb.TASK_TYPE_PROBE_RESULT, result))

    def _welcomed(self) -> None:
        self._is_attached, self._is_attaching, self._failures = True, False, 0
        # Begins at a time of its own, so that the beats of all are spread.
        self._later(ids.full_jitter(self._fleet.beat_seconds), self._beat)
        self._fleet.changed(+1)
        self._fleet.had_turn()

    def _again(self) -> None:
        """Whatever has broken: all calls end, and after a pause it waits for its turn."""
        was_attached, was_attaching = self._is_attached, self._is_attaching
        self._is_attached = self._is_attaching = False
        for call in (self._tasks, self._beats):
            if call is not None:
                call.cancel()
        self._tasks = self._beats = None
        if not (was_attached or was_attaching):
            return
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * GROWTH**self._failures)
        self._failures += 1
        self._later(ids.full_jitter(longest), lambda: self._fleet.queue(self))
        if was_attached:
            self._fleet.changed(-1)
        else:
            self._fleet.had_turn()

    def _beat(self) -> None:
        if self._connection is None:
            return
        if self._beats is None:
            self._beats = self._connection.call(
                BEATS, on_message=self._answered, on_end=self._silenced
            )
        self._sequence += 1
        beat = pb.HeartbeatMessage(agent_id=self._id, sequence=self._sequence)
        self._beats.send(beat.SerializeToString())

    def _answered(self, content: bytes) -> None:
        answer = pb.HeartbeatResponse.FromString(content)
        wanted = answer.interval_seconds if self._fleet.obeys else 0.0
        self._later(max(self._fleet.beat_seconds, wanted), self._beat)

    def insist(self) -> None:
        """Begins to beat as often as it was started to, at a time of its own."""
        if self._is_attached:
            self._later(ids.full_jitter(self._fleet.beat_seconds), self._beat)

    def _silenced(self) -> None:
        """Only the heartbeat has ended, or the other stream is about to."""
        self._beats = None
        if self._is_attached:
            self._later(self._fleet.beat_seconds, self._beat)

    def _work(self, message: pb.TaskMessage) -> None:
        said = _payload(message, pb.Assignment).input.struct_value.fields
        if SENT in said:
            is_urgent = message.priority == pb.TASK_PRIORITY_CRITICAL
            noting = self._fleet.urgent if is_urgent else self._fleet.others
            self._sent[message.task_id] = int(said[SENT].string_value), noting
        events = pb.TaskEvents(events=[pb.AgentEvent(sequence=1, result=pb.Result())])
        if self._tasks is not None:
            self._tasks.send(_message(pb.TASK_TYPE_EVENTS, events, about=message))

    def _acknowledged(self, message: pb.TaskMessage) -> None:
        is_last = _payload(message, pb.EventsAck).final
        if is_last and (sent := self._sent.pop(message.task_id, None)) is not None:
            sent_ns, noting = sent
            noting.has(sent_ns)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, what)


_connecting: set[asyncio.Task[None]] = set()


def _message(
    kind: pb.TaskType.ValueType, payload: Message, *, about: pb.TaskMessage | None = None
) -> bytes:
    content = AnyMessage(
        type_url=PREFIX + payload.DESCRIPTOR.name, value=payload.SerializeToString()
    )
    message = pb.TaskMessage(type=kind, payload=content)
    if about is not None:
        message.task_id, message.epoch = about.task_id, about.epoch
    return message.SerializeToString()


def _payload(message: pb.TaskMessage, kind: type[P]) -> P:
    return kind.FromString(message.payload.value)


async def main(address: str, count: int, beat_seconds: float) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    authorization = f"Bearer {os.environ[KEY_VARIABLE]}"
    said = {":authority": "localhost", "content-type": "application/grpc", "te": "trailers"}
    fleet = Fleet(address, count, beat_seconds, headers({**said, "authorization": authorization}))
    agents = [FleetAgent(fleet, number) for number in range(count)]
    for agent in agents:
        fleet.queue(agent)

    def insist() -> None:
        fleet.obeys = False
        for agent in agents:
            agent.insist()

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, insist)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))

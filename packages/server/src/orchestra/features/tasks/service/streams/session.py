"""One agent's stream as the control plane writes to it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message as WireMessage
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.agents import ConnectedAgent
from orchestra.features.tasks.service.streams.backlog import Backlog
from orchestra.features.tasks.service.streams.run import Run
from orchestra.foundation import clock, timestamps
from orchestra.foundation.auth import Actor
from orchestra.foundation.errors import OrchestraError, Unavailable

# An agent that lets so much wait does not read; its stream ends and its tasks move on.
MAX_OUTGOING = 10_000
# What waits for an agent goes as one message up to this: each costs more than what is in it.
BATCH_MESSAGES = 256
BATCH_BYTES = 64 * 1024
_PREFIX = "type.googleapis.com/ai_orchestra.v2."


class Session:
    """What goes out to one agent. Ends with `close`, for the reason that the agent is told."""

    def __init__(self, agent: ConnectedAgent, actor: Actor, *, takes_batches: bool = False) -> None:
        self.agent = agent
        self.actor = actor
        self._takes_batches = takes_batches
        self._outgoing: deque[pb.TaskMessage] = deque()
        self._wakened = asyncio.Event()
        self._error: Exception | None = None
        self.is_closed = False
        self.backlog = Backlog(agent.slots)
        self.recalled_at = float("-inf")

    def close(self, error: Exception | None = None) -> None:
        """What is already put out still goes; then the stream ends, with `error` if given."""
        if not self.is_closed:
            self.is_closed, self._error = True, error
            self._wakened.set()
            if isinstance(error, OrchestraError):
                self.agent.parting = f"its stream was ended: {error.message}"
            elif not self.agent.parting:
                asked = "it was asked to connect elsewhere"
                self.agent.parting = asked if self.agent.draining else "its connection has ended"

    async def messages(self) -> AsyncIterator[pb.TaskMessage]:
        """What the rpc yields; raises what the session was closed with."""
        while True:
            while self._outgoing:
                yield self._next_message()
            if self.is_closed:
                if self._error is not None:
                    raise self._error
                return
            self._wakened.clear()
            await self._wakened.wait()

    def _next_message(self) -> pb.TaskMessage:
        """The next, or all that waits as one, for an agent that takes batches."""
        waiting = self._outgoing
        first = waiting.popleft()
        if not (self._takes_batches and waiting and first.type != pb.TASK_TYPE_WELCOME):
            return self._stamped(first)
        messages, size = [first], first.ByteSize()
        while waiting and len(messages) < BATCH_MESSAGES:
            size += waiting[0].ByteSize()
            if size > BATCH_BYTES:
                break
            messages.append(waiting.popleft())
        if len(messages) == 1:
            return self._stamped(first)
        return self._stamped(_wrapped(pb.TASK_TYPE_BATCH, pb.Batch(messages=messages)))

    def _stamped(self, message: pb.TaskMessage) -> pb.TaskMessage:
        message.agent_id = str(self.agent.id)
        message.timestamp.CopyFrom(timestamps.now())
        return message

    def welcome(self, resumed: list[Run]) -> None:
        items = [
            pb.ResumedTask(task_id=str(run.task_id), epoch=run.epoch, sequence=run.kept)
            for run in resumed
        ]
        self._put(
            pb.TASK_TYPE_WELCOME, pb.Welcome(resumed=items, takes_batches=True, takes_returns=True)
        )

    def assign(
        self, run: Run, assignment: pb.Assignment, *, priority: pb.TaskPriority.ValueType
    ) -> None:
        self.backlog.add(run, priority=priority)
        self._put(pb.TASK_TYPE_ASSIGN, assignment, run=run, priority=priority)

    def acknowledge(self, run: Run, sequence: int, *, final: bool = False) -> None:
        ack = pb.EventsAck(sequence=sequence, final=final)
        self._put(pb.TASK_TYPE_EVENTS_ACK, ack, run=run)

    def cancel(self, run: Run, reason: str) -> None:
        self._put(pb.TASK_TYPE_CANCEL, pb.Cancel(reason=reason), run=run)

    def revoke(self, run: Run, reason: str) -> None:
        self._put(pb.TASK_TYPE_REVOKE, pb.Revoke(reason=reason), run=run)

    def reply(self, run: Run, reply: pb.Reply) -> None:
        self._put(pb.TASK_TYPE_REPLY, reply, run=run)

    def renew_credential(self, run: Run, token: str) -> None:
        self._put(pb.TASK_TYPE_CREDENTIAL, pb.Credential(run_token=token), run=run)

    def probe(self, probe: pb.Probe) -> None:
        self._put(pb.TASK_TYPE_PROBE, probe)

    def recall(self, reason: str) -> None:
        """Asks for all that has not begun."""
        self.recalled_at = clock.monotonic()
        self._put(pb.TASK_TYPE_RECALL, pb.Recall(reason=reason))

    def drain(self, reason: str) -> None:
        self._put(pb.TASK_TYPE_DRAIN, pb.Drain(reason=reason))

    def _put(
        self,
        kind: pb.TaskType.ValueType,
        payload: WireMessage,
        *,
        run: Run | None = None,
        priority: pb.TaskPriority.ValueType = pb.TASK_PRIORITY_LOW,
    ) -> None:
        if self.is_closed:
            return
        if len(self._outgoing) >= MAX_OUTGOING:
            self.close(Unavailable("The agent does not read its stream."))
            return
        message = _wrapped(kind, payload)
        message.priority = priority
        if run is not None:
            message.task_id, message.epoch = str(run.task_id), run.epoch
        self._outgoing.append(message)
        self._wakened.set()


def _wrapped(kind: pb.TaskType.ValueType, payload: WireMessage) -> pb.TaskMessage:
    content = AnyMessage(
        type_url=_PREFIX + payload.DESCRIPTOR.name, value=payload.SerializeToString()
    )
    return pb.TaskMessage(type=kind, payload=content)

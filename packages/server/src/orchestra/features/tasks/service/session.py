"""One agent's stream as the control plane writes to it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message as WireMessage
from google.protobuf.timestamp_pb2 import Timestamp
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.agents import ConnectedAgent
from orchestra.features.tasks.service.run import Run
from orchestra.foundation import clock
from orchestra.foundation.auth import Actor
from orchestra.foundation.errors import Unavailable

# An agent that lets so much wait does not read; its stream ends and its tasks move on.
MAX_OUTGOING = 10_000
_PREFIX = "type.googleapis.com/ai_orchestra.v2."


class Session:
    """What goes out to one agent. Ends with `close`, for the reason that the agent is told."""

    def __init__(self, agent: ConnectedAgent, actor: Actor) -> None:
        self.agent = agent
        self.actor = actor
        self._outgoing: deque[pb.TaskMessage] = deque()
        self._wakened = asyncio.Event()
        self._error: Exception | None = None
        self.is_closed = False

    def close(self, error: Exception | None = None) -> None:
        """What is already put out still goes; then the stream ends, with `error` if given."""
        if not self.is_closed:
            self.is_closed, self._error = True, error
            self._wakened.set()

    async def messages(self) -> AsyncIterator[pb.TaskMessage]:
        """What the rpc yields; raises what the session was closed with."""
        while True:
            while self._outgoing:
                yield self._outgoing.popleft()
            if self.is_closed:
                if self._error is not None:
                    raise self._error
                return
            self._wakened.clear()
            await self._wakened.wait()

    def welcome(self, resumed: list[Run]) -> None:
        items = [
            pb.ResumedTask(task_id=str(run.task_id), epoch=run.epoch, sequence=run.kept)
            for run in resumed
        ]
        self._put(pb.TASK_TYPE_WELCOME, pb.Welcome(resumed=items))

    def assign(
        self, run: Run, assignment: pb.Assignment, *, priority: pb.TaskPriority.ValueType
    ) -> None:
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
        content = AnyMessage(
            type_url=_PREFIX + payload.DESCRIPTOR.name, value=payload.SerializeToString()
        )
        message = pb.TaskMessage(
            task_id=str(run.task_id) if run else "",
            agent_id=str(self.agent.id),
            type=kind,
            payload=content,
            priority=priority,
            timestamp=now(),
            epoch=run.epoch if run else 0,
        )
        self._outgoing.append(message)
        self._wakened.set()


def now() -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(clock.now())
    return stamp

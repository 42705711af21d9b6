"""A run as the control plane holds it: what its agent has said, and what is kept of that."""

import asyncio
import sys
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from orchestra_protocol import agent_pb2 as pb

from orchestra.features.agents import ConnectedAgent
from orchestra.features.events import TaskEvent
from orchestra.features.tasks.errors import BadMessage, SequenceGap
from orchestra.features.tasks.repository.leases import Lease, TextSoFar
from orchestra.features.tasks.service.ends.ending import Claimed
from orchestra.features.tasks.service.values import TooDeep, from_value
from orchestra.features.tasks.types import TaskId
from orchestra.foundation import clock
from orchestra.foundation.messaging import Message

# What may wait for JetStream; beyond, the agent's stream is not read on.
MAX_UNSENT_BYTES = 1024 * 1024
MAX_UNSENT_EVENTS = 4_096
WINDOW_BYTES = 64 * 1024
WINDOW_EVENTS = 256
# Beyond it a snapshot shows only the beginning; the result has everything.
MAX_TEXT = 1024 * 1024
# Of one event that is no end; as JSON it may be six times as long, and has to fit into a message.
MAX_EVENT_BYTES = 1024 * 1024
# Of what is shown beside the text; the SDK cuts there, too.
MAX_LINE, MAX_LEVEL, MAX_FIELDS_BYTES = 16 * 1024, 20, 256 * 1024
_ENDS = frozenset({"result", "failure", "cancelled"})


@dataclass(frozen=True, slots=True)
class Unsent:
    """An event that JetStream has not acknowledged."""

    sequence: int
    size: int
    event: TaskEvent


class Run:
    """One lease. `received` is the last event taken in, `kept` the last that JetStream has."""

    __slots__ = (
        "_gap_allowed",
        "_text",
        "_text_size",
        "agent",
        "agent_id",
        "agent_name",
        "assigned_at",
        "attempt",
        "begun",
        "carried",
        "claimed",
        "credential_at",
        "epoch",
        "final",
        "grace_seconds",
        "has_slot",
        "is_draining",
        "is_leaving",
        "is_lost",
        "kept",
        "last_event_at",
        "life_id",
        "orphaned_at",
        "progress_timeout",
        "received",
        "room",
        "run_deadline",
        "run_seconds",
        "saved",
        "started_at",
        "task_id",
        "text_sequence",
        "unsent",
        "unsent_bytes",
        "user_id",
        "window",
    )

    def __init__(
        self, *, task_id: TaskId, epoch: int, attempt: int, user_id: UUID, agent: ConnectedAgent,
        run_seconds: float, progress_timeout: float,
    ) -> None:  # fmt: skip
        now = clock.monotonic()
        self.task_id, self.epoch, self.attempt, self.user_id = task_id, epoch, attempt, user_id
        self.agent: ConnectedAgent | None = agent
        self.agent_id, self.agent_name = agent.id, agent.name
        self.started_at = self.last_event_at = self.credential_at = now
        self.assigned_at, self.begun, self.has_slot = now, False, True
        self.run_seconds, self.run_deadline = run_seconds, now + run_seconds
        self.progress_timeout = progress_timeout
        self.received = self.kept = self.saved = self.text_sequence = 0
        self.unsent: deque[Unsent] = deque()
        self.unsent_bytes = 0
        self.window: tuple[int, Message] | None = None  # being sent, with its last sequence
        self._text: list[str] = []
        self._text_size = 0
        self.final: pb.AgentEvent | None = None
        # What every lease of its task has to be told, in bytes, or more than that.
        self.carried = sys.maxsize
        self.claimed: Claimed | None = None  # if this control plane has claimed it
        self.orphaned_at: float | None = None  # since when its agent has no stream here
        self.grace_seconds = 0.0
        self.is_draining = False
        self.is_leaving = False  # its suspension is being written
        self.is_lost = False
        self.room: asyncio.Future[None] | None = None  # somebody waits until it is not full
        # Tells windows of a control plane that has resumed a run from those of the one before.
        self.life_id = ""
        self._gap_allowed = False

    def begin(self) -> None:
        """Its agent has a slot for it, and calls the handler."""
        if not self.begun:
            self.begun = True
            self.started_at = self.last_event_at = clock.monotonic()
            self.run_deadline = self.started_at + self.run_seconds

    def resume(self, *, sequence: int, text: str, life_id: str) -> None:
        """Begins where an earlier control plane left off."""
        self.life_id = life_id
        self.received = self.kept = self.saved = self.text_sequence = sequence
        self._text, self._text_size = [text], len(text)
        self._gap_allowed = True

    def attach(self, agent: ConnectedAgent) -> None:
        """Its agent is back on another stream."""
        self.agent, self.orphaned_at = agent, None
        self._gap_allowed = True

    def detach(self, *, grace_seconds: float) -> None:
        """Its agent's stream is over; how long it waits for the next one."""
        self.agent, self.orphaned_at = None, clock.monotonic()
        self.grace_seconds = grace_seconds

    @property
    def is_full(self) -> bool:
        """Whether its agent has to wait."""
        return self.unsent_bytes > MAX_UNSENT_BYTES or len(self.unsent) > MAX_UNSENT_EVENTS

    def tell_room(self) -> None:
        """Wakes who waits for room."""
        if self.room is not None and not self.room.done():
            self.room.set_result(None)

    @property
    def lease(self) -> Lease:
        return Lease(self.task_id, self.epoch, max(0.0, clock.monotonic() - self.last_event_at))

    @property
    def text(self) -> str:
        """What it has said so far."""
        if len(self._text) > 1:
            self._text = ["".join(self._text)]
        return self._text[0] if self._text else ""

    def take_text(self) -> TextSoFar | None:
        """What to save of it, if JetStream has all that it has said and some of it is new."""
        if self.unsent or self.window or self.text_sequence <= self.saved:
            return None
        self.saved = self.kept
        return TextSoFar(self.task_id, self.epoch, self.kept, self.text)

    def announce(self, event: TaskEvent) -> None:
        """Puts an event of the server's own in front of the agent's."""
        self.unsent.append(Unsent(0, 0, event))

    def take_in(self, events: Iterable[pb.AgentEvent]) -> list[tuple[int, dict[str, Any]]]:
        """Takes in a batch; returns its log lines. Repeated events are dropped.

        Raises SequenceGap when some are missing: the agent sends them again on its next stream;
        BadMessage for one that is too large to be told to anybody.
        """
        self.last_event_at = clock.monotonic()
        timestamp = clock.now()
        logs: list[tuple[int, dict[str, Any]]] = []
        for event in events:
            if self.final is not None or not self._is_next(event.sequence):
                continue
            kind = event.WhichOneof("event")
            if kind in _ENDS:
                self.final = event
                continue
            if event.ByteSize() > MAX_EVENT_BYTES:
                raise BadMessage(f"An event has at most {MAX_EVENT_BYTES} bytes; send several.")
            shown, fact = self._read(kind, event)
            if kind == "log":
                logs.append((event.sequence, fact))
            wire = TaskEvent(
                cursor=f"{self.epoch}:{event.sequence}", type=shown, data=fact, timestamp=timestamp
            )
            self._add(Unsent(event.sequence, event.ByteSize(), wire))
        return logs

    def next_window(self) -> tuple[int, list[TaskEvent]]:
        """Takes the next events to send together: the sequence of the last, and the events."""
        events: list[TaskEvent] = []
        size, last = 0, self.kept
        while self.unsent and len(events) < WINDOW_EVENTS and size < WINDOW_BYTES:
            item = self.unsent.popleft()
            self.unsent_bytes -= item.size
            size += item.size
            last = max(last, item.sequence)
            events.append(item.event)
        return last, events

    @property
    def ends_at_once(self) -> bool:
        """Whether what is left of it fits into one message with its end."""
        return (
            self.final is not None
            and self.window is None
            and len(self.unsent) < WINDOW_EVENTS
            and self.unsent_bytes < WINDOW_BYTES
        )

    def _is_next(self, sequence: int) -> bool:
        if sequence <= self.received:
            return False
        if sequence > self.received + 1:
            if not self._gap_allowed:
                raise SequenceGap(
                    f"Task {self.task_id}: after event {self.received} came {sequence}; "
                    "send again from what Welcome names."
                )
            self._announce_gap(sequence)
        self._gap_allowed = False
        self.received = sequence
        return True

    def _announce_gap(self, sequence: int) -> None:
        """What was acknowledged and then lost with JetStream's store cannot come again."""
        fact = {"from": f"{self.epoch}:{self.received + 1}", "to": f"{self.epoch}:{sequence - 1}"}
        self._add(Unsent(self.received + 1, 0, TaskEvent(cursor=None, type="gap", data=fact)))

    def _read(self, kind: str | None, event: pb.AgentEvent) -> tuple[str, dict[str, Any]]:
        if kind == "token":
            text = event.token.text
            if self._text_size < MAX_TEXT:
                self._text.append(text[: MAX_TEXT - self._text_size])
                self._text_size += len(self._text[-1])
            self.text_sequence = event.sequence
            return "task.token", {"text": text}
        if kind == "progress":
            said = event.progress
            fraction = min(1.0, max(0.0, said.fraction)) if said.HasField("fraction") else None
            return "task.progress", {"fraction": fraction, "message": said.message[:MAX_LINE]}
        if kind == "log":
            line = event.log
            level, message = line.level[:MAX_LEVEL], line.message[:MAX_LINE]
            return "task.log", {"level": level, "message": message, "fields": _fields(line)}
        return "task.unknown", {}

    def _add(self, item: Unsent) -> None:
        self.unsent.append(item)
        self.unsent_bytes += item.size


def _fields(line: pb.LogLine) -> dict[str, Any]:
    """None of those that are too much to be shown."""
    if line.fields.ByteSize() > MAX_FIELDS_BYTES:
        return {}
    try:
        return {key: from_value(item) for key, item in line.fields.fields.items()}
    except TooDeep:
        return {}

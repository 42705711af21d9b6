"""Heartbeats: what one says, once somebody asks, and the way of one that came in at the wrong door.

An agent's streams meet at one control plane by the id that it names; an agent that names none, or
one whose control plane has just changed, may beat at another. Such beats go to all the others,
gathered for a moment.
"""

import asyncio

import msgspec
import nats.errors
import structlog
from google.protobuf.message import DecodeError
from nats.aio.msg import Msg
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.agents import events
from orchestra.features.agents.types import Beat, Resources
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.errors import Unavailable
from orchestra.foundation.messaging import Bus

log = structlog.get_logger(__name__)

GATHER_SECONDS = 0.25
# More than that many agents do not beat within a quarter of a second.
MOST_GATHERED = 10_000
# Kept well below what NATS takes as one message.
BATCH = 1_000


class Forwarder:
    """Sends on the heartbeats of agents that are not connected here."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: dict[str, bytes] = {}
        self._guard = Guard()

    def send(self, message: pb.HeartbeatMessage) -> None:
        """The newest of each agent goes; while NATS is away none does."""
        if len(self._waiting) >= MOST_GATHERED:
            return
        if not self._waiting:
            self._guard.spawn("forward heartbeats", self._flush())
        self._waiting[message.agent_id] = message.SerializeToString()

    async def close(self) -> None:
        await self._guard.stop()

    async def _flush(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        waiting, self._waiting = list(self._waiting.values()), {}
        try:
            for start in range(0, len(waiting), BATCH):
                batch = msgspec.msgpack.encode(waiting[start : start + BATCH])
                await self._bus.announce(events.BEATS_SUBJECT, batch)
        except (Unavailable, OSError, nats.errors.Error) as error:
            log.warning("heartbeats were not sent on", error=str(error))


def from_others(message: Msg) -> list[pb.HeartbeatMessage]:
    """The heartbeats in a message of a forwarder; none if it cannot be read."""
    try:
        batch = msgspec.msgpack.decode(message.data, type=list[bytes])
        return [pb.HeartbeatMessage.FromString(item) for item in batch]
    except (msgspec.MsgspecError, DecodeError):
        log.warning("heartbeats cannot be read", subject=message.subject)
        return []


def to_beat(message: pb.HeartbeatMessage) -> Beat:
    """What the agent says of its load, within the bounds of what can be."""
    said = message.resources
    return Beat(
        resources=Resources(
            cpu_usage=_share(said.cpu_usage),
            memory_usage=_share(said.memory_usage),
            disk_usage=_share(said.disk_usage),
            network_bytes_in=max(0, said.network_bytes_in),
            network_bytes_out=max(0, said.network_bytes_out),
        ),
        slots_in_use=message.slots_in_use,
        round_trip_seconds=min(60.0, max(0.0, message.round_trip_seconds)),
    )


def _share(value: float) -> float:
    # NaN compares false with everything, so it becomes 0.
    return value if 0.0 <= value <= 1.0 else (1.0 if value > 1.0 else 0.0)

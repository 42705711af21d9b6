"""What a heartbeat says, once somebody asks: most are never looked at before the next comes."""

from orchestra_protocol import agent_pb2 as pb

from orchestra.features.agents.types import Beat, Resources


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

"""What a control plane knows of its agents without asking anybody."""

from agent_records import agent_record
from orchestra.features.agents import Registry
from orchestra_protocol import agent_pb2 as pb


def test_a_large_fleet_beats_less_often() -> None:
    registry = Registry(heartbeat_seconds=2.0)
    assert registry.beat_seconds == 2.0
    for number in range(1, 2_001):
        registry.connect(agent_record(number), instance_id="", slots=1)
    assert registry.beat_seconds == 5.0


def test_only_what_has_changed_is_looked_at() -> None:
    registry = Registry(heartbeat_seconds=2.0)
    first, second = (registry.connect(agent_record(n), instance_id="", slots=1) for n in (1, 2))
    assert registry.take_changed() == [first, second]
    assert not registry.has_changes.is_set()
    registry.beat(first.id, pb.HeartbeatMessage())
    assert registry.take_changed() == []
    second.in_use = 1
    second.in_use = 0
    assert registry.has_changes.is_set()
    assert registry.take_changed() == [second]
    registry.disconnect(second)
    assert registry.take_changed() == []
    assert registry.take_left() == [second]


def test_what_a_heartbeat_says_is_kept_within_bounds() -> None:
    registry = Registry(heartbeat_seconds=2.0)
    agent = registry.connect(agent_record(1), instance_id="", slots=1)
    said = pb.ResourceMetrics(
        cpu_usage=7.0, memory_usage=float("nan"), disk_usage=-1.0, network_bytes_in=-5
    )
    registry.beat(agent.id, pb.HeartbeatMessage(resources=said, round_trip_seconds=1e9))
    assert agent.resources is not None
    assert (agent.resources.cpu_usage, agent.resources.memory_usage) == (1.0, 0.0)
    assert (agent.resources.disk_usage, agent.resources.network_bytes_in) == (0.0, 0)
    assert agent.round_trip == 60.0

"""How well an agent would do with one more task, by what it and its machine have shown."""

from collections.abc import Iterable

from orchestra.features.tasks.service.dispatch.peers import Anyone


def usual_seconds(agents: Iterable[Anyone]) -> float:
    """How long tasks take on those of which it is known."""
    known = [agent.latency for agent in agents if agent.latency > 0]
    return sum(known) / len(known) if known else 1.0


def seconds_until_done(agent: Anyone, *, in_use: int, usual: float) -> float:
    """One more task than `in_use`; an agent of which nothing is known takes as long as is usual."""
    return (agent.latency or usual) * (in_use + 1) / agent.slots


def room(agent: Anyone, *, free: int) -> float:
    """Free slots, weighed with how much of processor and memory the machine has left."""
    said = agent.resources
    idle = 1.0 if said is None else 1.0 - max(said.cpu_usage, said.memory_usage)
    return max(idle, 0.01) * free

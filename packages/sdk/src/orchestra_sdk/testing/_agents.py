"""The agents that the control plane in memory knows."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _clock


class AgentStream(Protocol):
    """The server's end of the long stream."""

    def send(self, message: pb.TaskMessage) -> None: ...
    def drop(self) -> None: ...


class ConnectedAgent:
    """What is known of one agent."""

    def __init__(self, agent_id: str, registration: pb.RegisterAgentRequest) -> None:
        self.id = agent_id
        self.registration = registration
        self.heartbeats: list[pb.HeartbeatMessage] = []
        self.hellos: list[pb.Hello] = []
        self.probes: dict[int, pb.ProbeResult] = {}  # answers, by the number of the question
        self.stream: AgentStream | None = None
        self.draining = False

    def begin(self, hello: pb.Hello, stream: AgentStream) -> None:
        """A new stream takes the place of an older one."""
        self.hellos.append(hello)
        self.stream, self.draining = stream, False


class Registry:
    """Agents by id; the same name gives the same id."""

    def __init__(self) -> None:
        self.agents: dict[str, ConnectedAgent] = {}
        self._changed = asyncio.Event()

    def register(self, registration: pb.RegisterAgentRequest) -> tuple[ConnectedAgent, bool]:
        """Return the agent, and whether it is a new process that has forgotten its tasks."""
        for agent in self.agents.values():
            if agent.registration.name == registration.name:
                restarted = agent.registration.instance_id != registration.instance_id
                agent.registration = registration
                return agent, restarted and not registration.restorable
        agent = ConnectedAgent(_clock.new_id(), registration)
        self.agents[agent.id] = agent
        return agent, False

    def of_stream(self, stream: AgentStream) -> ConnectedAgent | None:
        """Return the agent whose present stream this is."""
        return next((a for a in self.agents.values() if a.stream is stream), None)

    def free(
        self, capability: str, in_use: Callable[[ConnectedAgent], int]
    ) -> ConnectedAgent | None:
        """Return a connected agent that has the capability and a free slot."""
        for agent in self.agents.values():
            able = capability in agent.registration.capabilities and not agent.draining
            if able and agent.stream and in_use(agent) < agent.registration.slots:
                return agent
        return None

    async def connected(self, name: str, timeout: float) -> ConnectedAgent:
        """Return the agent of that name when its stream is open."""
        async with asyncio.timeout(timeout):
            while True:
                for agent in self.agents.values():
                    if agent.registration.name == name and agent.stream is not None:
                        return agent
                self._changed.clear()
                await self._changed.wait()

    def changed(self) -> None:
        """Wake who waits."""
        self._changed.set()

"""The control plane in memory: its door, and the faults it can be told to have."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc
from orchestra_protocol import agent_pb2 as pb
from orchestra_protocol.agent_pb2_grpc import add_ModernAgentServiceServicer_to_server

from orchestra_sdk import _clock, _values, _wire
from orchestra_sdk.testing._agents import ConnectedAgent, Registry
from orchestra_sdk.testing._blob_store import BlobStore
from orchestra_sdk.testing._dispatch import Dispatch
from orchestra_sdk.testing._servicer import Servicer, Stream
from orchestra_sdk.testing._task import SubmittedTask
from orchestra_sdk.testing._waiting import WAIT_SECONDS, until

_THREADS = 64  # an agent holds two: its stream and its heartbeat


class ControlPlane:
    """Use it as an async context manager; `url` and `key` are what an agent needs.

    Faults: `acknowledging = False` loses acknowledgements, `replying = False` the answers to steps,
    children, questions and waits, `delay_seconds` holds messages back,
    `denying = True` refuses the key, `drop_streams()` and `restart()` break connections.

    `blobs` are what `ctx.blobs` stores and fetches, unless `model_base_url` leads elsewhere.
    """

    def __init__(
        self,
        *,
        key: str = "test-key",
        heartbeat_seconds: float = 0.1,
        lease_seconds: float = 5.0,
        model_base_url: str = "",
        max_message_bytes: int = 1024 * 1024,
    ) -> None:
        self.key = key
        self.heartbeat_seconds = heartbeat_seconds
        self.lease_seconds = lease_seconds
        self.model_base_url = model_base_url
        self.max_message_bytes = max_message_bytes
        self.acknowledging = True
        self.denying = False
        self.denied = 0  # how many calls were refused
        self.delay_seconds = 0.0
        self.blobs = BlobStore()
        self.registry = Registry()
        self._dispatch = Dispatch(self.registry)
        self._server: grpc.Server | None = None
        self._servicer: Servicer | None = None
        self._port = 0
        self._probes = 0

    @property
    def url(self) -> str:
        """Address for an agent."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def replying(self) -> bool:
        """Whether commands of runs are answered; what they ask is done in either case."""
        return self._dispatch.replying

    @replying.setter
    def replying(self, replying: bool) -> None:
        self._dispatch.replying = replying

    @property
    def tasks(self) -> dict[str, SubmittedTask]:
        """Every task by its id."""
        return self._dispatch.tasks

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._servicer = Servicer(self)
        self._server = grpc.server(
            ThreadPoolExecutor(_THREADS, "control-plane"), options=[("grpc.so_reuseport", 0)]
        )
        add_ModernAgentServiceServicer_to_server(self._servicer, self._server)
        self._port = self._server.add_insecure_port(f"127.0.0.1:{self._port}")
        self._server.start()
        self.blobs.start()

    async def stop(self) -> None:
        """Break every connection and stop listening; tasks are remembered."""
        if self._server is None or self._servicer is None:
            return
        self._servicer.stopping.set()
        stopped = self._server.stop(grace=None)
        await asyncio.to_thread(stopped.wait, WAIT_SECONDS)
        await asyncio.to_thread(self.blobs.stop)
        self._server = self._servicer = None

    async def restart(self) -> None:
        """Break every connection and listen again."""
        await self.stop()
        await self.start()

    def drop_streams(self) -> None:
        """Break the long stream of every agent."""
        for agent in self.registry.agents.values():
            if agent.stream is not None:
                agent.stream.drop()

    async def submit(
        self,
        capability: str,
        input: Any = None,
        *,
        idempotency_key: str = "",
        max_attempts: int = 3,
        submitter: str = "tester",
        run_token: str = "run-token",  # noqa: S107 - not a secret: nothing checks it
    ) -> SubmittedTask:
        """Queue a task; it starts when an agent with a free slot has the capability."""
        task_id = _clock.new_id()
        assignment = pb.Assignment(
            capability=capability,
            input=_values.to_value(input),
            idempotency_key=idempotency_key or task_id,
            run_token=run_token,
            submitter=submitter,
        )
        task = SubmittedTask(
            dispatch=self._dispatch,
            task_id=task_id,
            assignment=assignment,
            max_attempts=max_attempts,
        )
        self._dispatch.add(task)
        return task

    async def agent(self, name: str, *, timeout: float = WAIT_SECONDS) -> ConnectedAgent:
        """Return the agent of that name when it is connected."""
        return await self.registry.connected(name, timeout)

    async def probe(
        self, agent: ConnectedAgent, capability: str, *, timeout_seconds: float = WAIT_SECONDS
    ) -> pb.ProbeResult:
        """Return what the agent says when it is asked whether a capability works."""
        self._probes += 1
        number = self._probes
        if agent.stream is not None:
            probe = pb.Probe(id=number, capability=capability, timeout_seconds=timeout_seconds)
            agent.stream.send(_wire.wrap(pb.TASK_TYPE_PROBE, probe, agent_id=agent.id))
        await until(lambda: number in agent.probes)
        return agent.probes.pop(number)

    def assign(self, task: SubmittedTask, agent: ConnectedAgent) -> None:
        """Send the assignment of the present lease once more."""
        self._dispatch.assign(task, agent)

    def renew_credential(self, task: SubmittedTask, run_token: str) -> None:
        """Send a fresh run token."""
        self.tell(task, pb.TASK_TYPE_CREDENTIAL, pb.Credential(run_token=run_token))

    def tell(self, task: SubmittedTask, kind: "pb.TaskType.ValueType", payload: Any) -> None:
        """Send any message about a running task to its agent, under the task's epoch."""
        self._dispatch.tell(task, kind, payload)

    def drain(self, agent: ConnectedAgent) -> None:
        """Ask an agent to connect elsewhere."""
        if agent.stream is not None:
            drain = pb.Drain(reason="the control plane leaves")
            agent.stream.send(_wire.wrap(pb.TASK_TYPE_DRAIN, drain, agent_id=agent.id))

    # What the servicer asks.

    def accepts(self, authorization: str) -> bool:
        """Whether the credential is the right one; called from gRPC's threads."""
        right = not self.denying and authorization == f"Bearer {self.key}"
        self.denied += not right
        return right

    def register(self, request: pb.RegisterAgentRequest) -> pb.RegisterAgentResponse:
        """Give the agent its id, the same for the same name."""
        agent, forgotten = self.registry.register(request)
        if forgotten:
            self._dispatch.lost(agent)
        return pb.RegisterAgentResponse(
            agent_id=agent.id,
            heartbeat_interval_seconds=self.heartbeat_seconds,
            lease_seconds=self.lease_seconds,
            max_message_bytes=self.max_message_bytes,
            model_base_url=self.model_base_url or f"{self.blobs.url}/v1",
        )

    def beat(self, beat: pb.HeartbeatMessage) -> None:
        """Remember a heartbeat."""
        self.registry.agents[beat.agent_id].heartbeats.append(beat)

    def welcome(self, hello: pb.Hello, stream: Stream) -> None:
        """Say what of the agent's runs is still its own, and give it work."""
        self._dispatch.welcome(self.registry.agents[hello.agent_id], hello, stream)

    def receive(self, stream: Stream, message: pb.TaskMessage) -> None:
        """Take a message of the agent in."""
        self._dispatch.receive(stream, message, acknowledging=self.acknowledging)

    def left(self, stream: Stream) -> None:
        """The stream has ended: its agent has a lease's time to come back."""
        agent = self.registry.of_stream(stream)
        if agent is not None:
            agent.stream = None
            loop = asyncio.get_running_loop()
            loop.call_later(self.lease_seconds, self._dispatch.expire, agent)

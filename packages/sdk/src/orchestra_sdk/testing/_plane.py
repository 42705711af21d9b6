"""The control plane in memory: agents, tasks and the faults it can be told to have."""

import asyncio
from types import TracebackType
from typing import Any, Self

import grpc
from orchestra_protocol import agent_pb2 as pb
from orchestra_protocol.agent_pb2_grpc import add_ModernAgentServiceServicer_to_server

from orchestra_sdk import _clock, _values, _wire
from orchestra_sdk.testing._agents import ConnectedAgent, Registry
from orchestra_sdk.testing._servicer import Servicer
from orchestra_sdk.testing._task import SubmittedTask
from orchestra_sdk.testing._waiting import WAIT_SECONDS

__all__ = ["ConnectedAgent", "ControlPlane"]


class ControlPlane:
    """Use it as an async context manager; `url` and `key` are what an agent needs.

    Faults: `acknowledging = False` loses acknowledgements, `delay_seconds` holds messages back,
    `denying = True` refuses the key, `drop_streams()` and `restart()` break connections.
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
        self.delay_seconds = 0.0
        self.tasks: dict[str, SubmittedTask] = {}
        self._queued: dict[str, SubmittedTask] = {}
        self._leased: dict[str, dict[str, SubmittedTask]] = {}
        self.registry = Registry()
        self._server: grpc.aio.Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Address for an agent."""
        return f"http://127.0.0.1:{self._port}"

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
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_ModernAgentServiceServicer_to_server(Servicer(self), server)
        self._port = server.add_insecure_port(f"127.0.0.1:{self._port}")
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Break every connection and stop listening; tasks are remembered."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

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
            plane=self, task_id=task_id, assignment=assignment, max_attempts=max_attempts
        )
        self.tasks[task_id] = self._queued[task_id] = task
        self.dispatch()
        return task

    async def agent(self, name: str, *, timeout: float = WAIT_SECONDS) -> ConnectedAgent:
        """Return the agent of that name when it is connected."""
        return await self.registry.connected(name, timeout)

    def dispatch(self) -> None:
        """Give queued tasks to agents with free slots, the oldest first."""
        full: set[str] = set()
        for task in list(self._queued.values()):
            capability = task.assignment.capability
            agent = None if capability in full else self.registry.free(capability, self.running_on)
            if agent is None:
                full.add(capability)
                continue
            del self._queued[task.id]
            self._leased.setdefault(agent.id, {})[task.id] = task
            task.leased(agent.id)
            self.assign(task, agent)

    def ended(self, task: SubmittedTask, agent: ConnectedAgent) -> None:
        """The lease is over: give the slot to the next task, and queue this one if it goes on."""
        self._leased[agent.id].pop(task.id, None)
        if task.state == "queued":
            self._queued[task.id] = task
        self.dispatch()

    def assign(self, task: SubmittedTask, agent: ConnectedAgent) -> None:
        """Send the assignment of the present lease."""
        assignment = pb.Assignment()
        assignment.CopyFrom(task.assignment)
        assignment.attempt = task.attempt
        self.tell(task, agent, pb.TASK_TYPE_ASSIGN, assignment)

    def cancel(self, task: SubmittedTask, reason: str) -> None:
        """Cancel a task: at once while it is queued, by asking the agent while it runs."""
        if task.state == "queued":
            del self._queued[task.id]
            task.state = "cancelled"
            task.changed()
            return
        task.state = "cancelling"
        self.tell(task, self._holder(task), pb.TASK_TYPE_CANCEL, pb.Cancel(reason=reason))

    def revoke(self, task: SubmittedTask) -> None:
        """Take the lease away and queue the task again."""
        holder = self._holder(task)
        self.tell(task, holder, pb.TASK_TYPE_REVOKE, pb.Revoke(reason="the lease expired"))
        task.queued_again()
        self.ended(task, holder)

    def renew_credential(self, task: SubmittedTask, run_token: str) -> None:
        """Send a fresh run token."""
        credential = pb.Credential(run_token=run_token)
        self.tell(task, self._holder(task), pb.TASK_TYPE_CREDENTIAL, credential)

    def drain(self, agent: ConnectedAgent) -> None:
        """Ask an agent to connect elsewhere."""
        if agent.stream is not None:
            drain = pb.Drain(reason="the control plane leaves")
            agent.stream.send(_wire.wrap(pb.TASK_TYPE_DRAIN, drain, agent_id=agent.id))

    def tell(
        self,
        task: SubmittedTask,
        agent: ConnectedAgent,
        kind: "pb.TaskType.ValueType",
        payload: Any,
    ) -> None:
        """Send a message about a task; without a stream it is lost, as it would be."""
        if agent.stream is not None:
            agent.stream.send(
                _wire.wrap(kind, payload, agent_id=agent.id, task_id=task.id, epoch=task.epoch)
            )

    def running_on(self, agent_id: str) -> list[SubmittedTask]:
        """Return the tasks that are leased to an agent."""
        return list(self._leased.get(agent_id, {}).values())

    def lost(self, agent: ConnectedAgent) -> None:
        """Queue what an agent that did not come back has held."""
        for task in self.running_on(agent.id):
            task.queued_again()
            self.ended(task, agent)

    async def held_back(self) -> None:
        """Wait as long as `delay_seconds` says."""
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)

    def _holder(self, task: SubmittedTask) -> ConnectedAgent:
        return self.registry.agents[task.agent_id]

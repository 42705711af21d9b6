"""Joins the parts of a serving agent: event loop here, connection there, outbox between them."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _target, _wire
from orchestra_sdk._backlog import Backlog
from orchestra_sdk._capability import Capability
from orchestra_sdk._connection import Connection
from orchestra_sdk._context import Limits, call_soon
from orchestra_sdk._errors import AgentError
from orchestra_sdk._execution import Executor
from orchestra_sdk._journal import Journal
from orchestra_sdk._outbox import Outbox
from orchestra_sdk._probing import Prober
from orchestra_sdk._resources import Resources
from orchestra_sdk._run import Run
from orchestra_sdk._session import Parts
from orchestra_sdk._table import RunTable

_log = logging.getLogger("orchestra_sdk")

_DEFAULT_MESSAGE_BYTES = 1024 * 1024
_FLUSH_SECONDS = 5.0  # for the last acknowledgements, after the last handler has left
_CLOSE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `Agent` has decided."""

    registration: pb.RegisterAgentRequest
    capabilities: Mapping[str, Capability]
    state_dir: Path | None
    backlog: int
    grace_seconds: float
    url: str | None
    key: str | None
    ca_file: str | None


class Runtime:
    """One serving of an agent, on the event loop it was made on."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._stops = 0
        self._is_filling = False
        self._changed = asyncio.Event()
        self._fatal: AgentError | None = None
        self._registered = pb.RegisterAgentResponse()
        self._outbox = Outbox()
        self._journal = Journal(options.state_dir) if options.state_dir else None
        self._table = RunTable(self._outbox, self._assigned)
        self._table.on_forget = self._forgotten
        self._prober = Prober(options.capabilities, self._outbox)
        self._executor = self._make_executor()
        self._executor.on_change = self._changed.set
        self._backlog = Backlog(
            slots=options.registration.slots, lock=self._outbox.lock, begin=self._executor.start
        )
        self._executor.on_left = self._backlog.leave
        self._connection = self._make_connection()

    @property
    def connected(self) -> bool:
        """Whether the control plane has welcomed the agent."""
        return self._connection.connected

    async def serve(self) -> None:
        """Serve until `stop`, or until it is clear that no connection will ever work."""
        try:
            for run in self._journal.load() if self._journal else []:
                self._table.add(run)
            self._connection.start()
            await self._wait(lambda: self._stops > 0, None)
            await self._leave()
        finally:
            self._prober.stop()
            await asyncio.to_thread(self._connection.stop, _CLOSE_SECONDS)
            if self._journal is not None:
                self._journal.close()
        if self._fatal is not None:
            raise self._fatal

    def stop(self) -> None:
        """Leave gracefully; a second call leaves at once."""
        self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        self._stops += 1
        self._changed.set()

    async def _leave(self) -> None:
        if self._fatal is not None:
            return
        agent_id = self._registered.agent_id
        drain = pb.Drain(reason="the agent is stopping")
        self._outbox.post(_wire.wrap(pb.TASK_TYPE_DRAIN, drain, agent_id=agent_id))
        self._table.give_back()
        _log.info("Stopping: %d tasks are still running.", self._executor.executing)
        await self._wait(
            lambda: self._executor.executing == 0 or self._stops > 1, self._options.grace_seconds
        )
        if self._executor.executing:
            self._executor.abandon("the agent was stopped before the task was done")
        await self._wait(lambda: not self._table.held() or self._stops > 2, _FLUSH_SECONDS)

    async def _wait(self, condition: Callable[[], bool], seconds: float | None) -> None:
        """Return when the condition holds, after a fatal error, or after the time."""
        try:
            async with asyncio.timeout(seconds):
                while not condition() and self._fatal is None:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    def _assigned(self, run: Run) -> None:
        """Called from the connection's thread; many runs of a batch wake the loop once."""
        self._backlog.add(run)
        if not self._is_filling:
            self._is_filling = True
            call_soon(self._loop, self._fill)

    def _fill(self) -> None:
        self._is_filling = False  # before it looks: what comes meanwhile wakes it again
        self._backlog.fill()

    def _forgotten(self, run: Run) -> None:
        """Called from the connection's thread."""
        if self._journal is not None:
            self._journal.forget(run)
        if run.revoked:  # its slot is free, though its handler may not have left yet
            call_soon(self._loop, self._backlog.leave, run)
        if self._stops:
            call_soon(self._loop, self._changed.set)

    def _failed(self, error: AgentError) -> None:
        """Called from the connection's thread."""

        def fail() -> None:
            self._fatal = error
            self._changed.set()

        call_soon(self._loop, fail)

    def _welcomed(self, registered: pb.RegisterAgentResponse) -> None:
        """Called from the connection's thread."""
        self._registered = registered
        _log.info("Connected as %s (%s).", self._options.registration.name, registered.agent_id)

    def _make_executor(self) -> Executor:
        return Executor(
            self._options.capabilities,
            outbox=self._outbox,
            slots=self._options.registration.slots,
            journal=self._journal,
            limits=Limits(
                model_base_url=lambda: self._registered.model_base_url,
                max_message_bytes=lambda: (
                    self._registered.max_message_bytes or _DEFAULT_MESSAGE_BYTES
                ),
                target=self._find_target,
            ),
        )

    def _make_connection(self) -> Connection:
        options = self._options
        parts = Parts(
            registration=options.registration,
            backlog=options.backlog,
            outbox=self._outbox,
            table=self._table,
            resources=Resources(),
            slots_in_use=lambda: self._executor.executing,
            on_welcome=self._welcomed,
            on_probe=lambda probe: call_soon(self._loop, self._prober.start, probe),
        )
        return Connection(
            parts,
            find_target=self._find_target,
            on_fatal=self._failed,
        )

    def _find_target(self) -> _target.Target:
        options = self._options
        return _target.find(
            name=options.registration.name,
            url=options.url,
            key=options.key,
            ca_file=options.ca_file,
        )

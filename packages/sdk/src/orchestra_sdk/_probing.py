"""Answers the control plane's question whether a capability works, beside the tasks that run.

A probe that hangs is answered as unhealthy in time, and holds up no other.
"""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _clock, _tasks, _wire
from orchestra_sdk._capability import Capability
from orchestra_sdk._outbox import Outbox
from orchestra_sdk._pool import DaemonPool

_THREADS = 4  # for plain functions; a fifth that hangs would only wait, and be unhealthy
_DEFAULT_SECONDS = 10.0
_MAX_MESSAGE = 1000  # characters


class Prober:
    """Runs the checks that the agent's author has written; one at a time for each capability."""

    def __init__(self, capabilities: Mapping[str, Capability], outbox: Outbox) -> None:
        self._capabilities = capabilities
        self._outbox = outbox
        self._pool = DaemonPool(_THREADS)
        self._running: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, probe: pb.Probe) -> None:
        """Begin a check; called on the event loop."""
        task = _tasks.spawn(self._answer(probe), name=f"probe {probe.capability}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Leave the checks that still run."""
        for task in self._tasks:
            task.cancel()

    async def _answer(self, probe: pb.Probe) -> None:
        began = _clock.monotonic()
        problem = await self._problem(probe)
        result = pb.ProbeResult(
            id=probe.id,
            healthy=problem is None,
            message=(problem or "")[:_MAX_MESSAGE].encode("utf-8", "replace").decode(),
            seconds=_clock.monotonic() - began,
        )
        agent_id = self._outbox.agent_id
        self._outbox.post(_wire.wrap(pb.TASK_TYPE_PROBE_RESULT, result, agent_id=agent_id))

    async def _problem(self, probe: pb.Probe) -> str | None:
        """Return why the capability does not work, in words, or None."""
        if not probe.capability:
            return None  # the question was whether anybody answers
        capability = self._capabilities.get(probe.capability)
        if capability is None or capability.probe is None:
            return f"this agent has no probe of {probe.capability!r}"
        if probe.capability in self._running:
            return "the probe before this one still runs"
        seconds = probe.timeout_seconds or _DEFAULT_SECONDS
        try:
            async with asyncio.timeout(seconds):
                works = await self._run(capability.name, capability.probe)
        except TimeoutError:
            return f"the probe had no answer within {seconds:g} s"
        except Exception as error:  # noqa: BLE001 - whatever an author's code raises
            return f"{type(error).__name__}: {error}"
        return None if works is None or works else "the probe says that it does not work"

    async def _run(self, name: str, probe: Callable[[], Any]) -> Any:
        self._running.add(name)
        if inspect.iscoroutinefunction(probe):
            try:
                return await probe()
            finally:
                self._running.discard(name)

        def call() -> Any:
            try:
                return probe()
            finally:
                self._running.discard(name)

        return await self._pool.run(call)

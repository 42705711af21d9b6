"""The agent: capabilities, and the life from start to graceful stop."""

import asyncio
import logging
import signal
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _backlog, _capability, _clock, _target
from orchestra_sdk._capability import Capability
from orchestra_sdk._errors import AgentError
from orchestra_sdk._runtime import Options, Runtime

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LONGEST_PROBE_SECONDS = 2_592_000.0  # thirty days; the server takes no more
_log = logging.getLogger("orchestra_sdk")


class Agent:
    """Functions that run tasks, under one name.

    `slots` is how many tasks run at once. Of quick ones it is sent up to `backlog` more, so that it
    need not wait for the next; when it is killed, that many may have run without anybody knowing,
    and run again. With a backlog of 0 it is `slots` at most. With `restorable`, results that the
    control plane has not committed are kept in `state_dir` and delivered after a restart of the
    process.
    """

    def __init__(
        self,
        name: str,
        *,
        slots: int = 8,
        backlog: int = _backlog.MOST,
        version: str = "",
        labels: Mapping[str, str] | None = None,
        restorable: bool = False,
        state_dir: str | Path | None = None,
        grace_seconds: float = 30.0,
    ) -> None:
        if not 1 <= len(name) <= 100:
            raise ValueError(f"a name has 1 to 100 characters, not {name!r}")
        if not 1 <= slots <= 1000:
            raise ValueError(f"slots must be between 1 and 1000, not {slots}")
        if not 0 <= backlog <= _backlog.MOST:
            raise ValueError(f"backlog must be between 0 and {_backlog.MOST}, not {backlog}")
        self.name = name
        self.slots = slots
        self.backlog = backlog
        self.version = version
        self.labels = dict(labels or {})
        self.grace_seconds = grace_seconds
        self._state_dir = Path(state_dir) if state_dir else None
        self._restorable = restorable or state_dir is not None
        self._capabilities: dict[str, Capability] = {}
        self._runtime: Runtime | None = None

    def task(
        self,
        name: str,
        *,
        description: str = "",
        probe: Callable[[], Any] | None = None,
        probe_seconds: float = 30.0,
    ) -> Callable[[_Handler], _Handler]:
        """Declare the handler of a capability: `async def f(ctx, input)` or a plain function.

        `probe`, async or plain, is called every `probe_seconds` beside the tasks, to see that the
        capability works; it does not when it raises, returns False or takes too long.
        """
        if not _is_word(name):
            raise ValueError(f"a capability is 1 to 64 of a-z A-Z 0-9 _ -, not {name!r}")
        if not 0 < probe_seconds <= _LONGEST_PROBE_SECONDS:
            most = f"{_LONGEST_PROBE_SECONDS:.0f}"
            raise ValueError(f"probe_seconds: more than 0, up to {most}, not {probe_seconds}")

        def declare(handler: _Handler) -> _Handler:
            if name in self._capabilities:
                raise ValueError(f"{name!r} has a handler already")
            described = _capability.describe(name, handler, description)
            if probe is not None:
                described = replace(described, probe=probe, probe_seconds=probe_seconds)
            self._capabilities[name] = described
            return handler

        return declare

    @property
    def capabilities(self) -> list[str]:
        """Names of the declared handlers."""
        return list(self._capabilities)

    def run(
        self, *, url: str | None = None, key: str | None = None, ca_file: str | None = None
    ) -> None:
        """Serve until SIGINT or SIGTERM; ends the program with a sentence when it cannot."""
        if not logging.getLogger().handlers:
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        try:
            asyncio.run(self.serve(url=url, key=key, ca_file=ca_file, until_signal=True))
        except AgentError as error:
            raise SystemExit(f"{self.name}: {error}") from error

    async def serve(
        self,
        *,
        url: str | None = None,
        key: str | None = None,
        ca_file: str | None = None,
        until_signal: bool = False,
    ) -> None:
        """Serve on the present event loop until `stop`; raises an `AgentError` when it cannot.

        With `until_signal`, SIGINT and SIGTERM stop it too; that needs the main thread.
        """
        if not self._capabilities:
            raise ValueError(
                f"the agent {self.name!r} has no handler: declare one with @agent.task"
            )
        if self._runtime is not None:
            raise RuntimeError(f"the agent {self.name!r} is already serving")
        options = Options(
            registration=self._registration(),
            capabilities=self._capabilities,
            state_dir=self._state_directory(),
            backlog=self.backlog,
            grace_seconds=self.grace_seconds,
            url=url,
            key=key,
            ca_file=ca_file,
        )
        self._runtime = Runtime(options)
        try:
            with self._stopped_by_signals() if until_signal else nullcontext():
                await self._runtime.serve()
        finally:
            self._runtime = None

    def stop(self) -> None:
        """Take nothing new, let running tasks finish within the grace period, then stop serving.

        Called a second time, it does not wait for them. Safe from any thread.
        """
        if self._runtime is not None:
            self._runtime.stop()

    @property
    def connected(self) -> bool:
        """Whether the control plane knows the agent at present."""
        return self._runtime is not None and self._runtime.connected

    @contextmanager
    def _stopped_by_signals(self) -> Generator[None]:
        """Not by the event loop's own handlers: Windows has none."""

        def stop(number: int, frame: FrameType | None) -> None:
            self.stop()

        former = {number: signal.signal(number, stop) for number in _STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _registration(self) -> pb.RegisterAgentRequest:
        details = [
            pb.Capability(
                name=capability.name,
                description=capability.description,
                input_schema=capability.input_schema,
                output_schema=capability.output_schema,
                probe_seconds=capability.probe_seconds,
            )
            for capability in self._capabilities.values()
        ]
        return pb.RegisterAgentRequest(
            name=self.name,
            capabilities=list(self._capabilities),
            version=self.version,
            slots=self.slots,
            labels=self.labels,
            instance_id=_clock.new_id(),
            capability_details=details,
            restorable=self._restorable,
        )

    def _state_directory(self) -> Path | None:
        if not self._restorable:
            return None
        return (self._state_dir or Path(".orchestra-agent")) / _target.file_name(self.name)


def _is_word(name: str) -> bool:
    return (
        1 <= len(name) <= 64
        and name.isascii()
        and name.replace("-", "_").replace("_", "a").isalnum()
    )

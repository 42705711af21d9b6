"""What a supervisor keeps: programs as they should be, steps between them, programs as they are."""

import signal
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import IO

import anyio
import anyio.abc

from orchestra.engines.errors import EngineError
from orchestra.engines.process import Command, kill_group
from orchestra.processes.record import ProcessId, ProcessRecord, identify

KILL_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program to keep running.

    `is_ready` gets its process id; `needs` are names of programs and steps. The whole is ready, and
    can be started, without a program that is not vital. One that `prepares_itself` is started at
    once, does its imports, and waits for the end of its standard input: then they are ready.
    """

    name: str
    command: Command
    is_ready: Callable[[int], bool] = lambda _pid: True
    needs: tuple[str, ...] = ()
    is_vital: bool = True
    prepares_itself: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something done once, between programs: it needs some, and others need it."""

    name: str
    run: Callable[[], Awaitable[None]]
    needs: tuple[str, ...] = ()


class StepFailed(EngineError):
    """Something that has to be done at the start could not be done."""


class HopelessStart(EngineError):
    """A program ended again and again while the instance was starting."""


@dataclass
class Child:
    """A program as it is now."""

    program: Program
    ready: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)
    process: anyio.abc.Process | None = None
    state: str = "waiting"
    restarts: int = 0
    failures: int = 0
    last_end: str = ""

    def record(self) -> ProcessRecord:
        process = identify(self.process.pid) if self.process else ProcessId(0, 0)
        return ProcessRecord(
            name=self.program.name,
            state=self.state,
            pid=process.pid,
            started=process.started,
            restarts=self.restarts,
            last_end=self.last_end,
        )

    async def spawn(self, *, output: IO[bytes]) -> anyio.abc.Process:
        """Forks from this thread, which must live on as long: see `engines.process.spawn`."""
        command = self.program.command
        command.remove_old_sockets()
        self.process = await anyio.open_process(
            command.launch_argv,
            cwd=command.directory,
            env=command.full_environment,
            stdin=subprocess.PIPE if self.program.prepares_itself else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        return self.process

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            kill_group(self.process.pid, number)

    async def end(self) -> None:
        """Asks it to stop, and kills it if it does not in its time."""
        process, command = self.process, self.program.command
        if process is None:
            return
        self.signal(command.stop_signal)
        with anyio.move_on_after(command.stop_seconds):
            await process.wait()
            return
        self.signal(signal.SIGKILL)
        with anyio.move_on_after(KILL_SECONDS):
            await process.wait()

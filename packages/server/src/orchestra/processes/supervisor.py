"""Keeps a set of programs running: starts them as soon as what they need is ready, starts again
what dies, stops them in the reverse order.

It knows nothing of what the programs are; `catalog` says that.
"""

import math
import os
import signal
import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import IO

import anyio
import anyio.abc

from orchestra.engines.errors import DirectoryUnusable
from orchestra.engines.process import kill_group
from orchestra.foundation import clock, ids
from orchestra.foundation.errors import OrchestraError
from orchestra.processes import logs
from orchestra.processes.programs import Child, HopelessStart, Program, Step, StepFailed
from orchestra.processes.record import ProcessRecord

POLL_SECONDS = 0.02
# A program that needs longer to be ready is stuck, and is started again.
READY_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
ROTATE_SECONDS = 30.0
# After running so long, a death is news again and not one more of a series.
FORGIVEN_SECONDS = 60.0
# A program that dies so often before it was ever ready will not be, and starting the whole fails.
HOPELESS_STARTS = 4


class Supervisor:
    """Runs programs and steps until it is told to stop.

    A disk that fails under what runs is told to `on_trouble`, and ends nothing.
    """

    def __init__(
        self,
        parts: Sequence[Program | Step],
        *,
        log_directory: Path,
        on_change: Callable[[ProcessRecord], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._children = {part.name: Child(part) for part in parts if isinstance(part, Program)}
        self._steps = {part.name: (part, anyio.Event()) for part in parts if isinstance(part, Step)}
        self._logs = log_directory
        self._on_change, self._on_trouble = on_change, on_trouble
        self._stopping = anyio.Event()

    def records(self) -> tuple[ProcessRecord, ...]:
        return tuple(child.record() for child in self._children.values())

    async def run(self, when_ready: Callable[[], Awaitable[None]]) -> None:
        """Keeps everything running until `stop`; calls `when_ready` once all of it was ready.

        Raises what a step raises, and HopelessStart; in any case everything is stopped before.
        """
        try:
            async with anyio.create_task_group() as tasks:
                for step, done in self._steps.values():
                    tasks.start_soon(self._do, step, done, name=step.name)
                for child in self._children.values():
                    tasks.start_soon(self._keep, child, name=child.program.name)
                tasks.start_soon(self._rotate_logs, name="logs")
                tasks.start_soon(self._watch_signals, name="signals")
                tasks.start_soon(self._announce, when_ready, name="ready")
                await self._stopping.wait()
                await self._stop_all()
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise _expected(group) or group from group
        finally:
            with anyio.CancelScope(shield=True):
                self._stopping.set()
                await self._stop_all()

    def stop(self) -> None:
        self._stopping.set()

    def kill(self) -> None:
        """Ends everything at once, without asking."""
        self._stopping.set()
        for child in self._children.values():
            child.signal(signal.SIGKILL)

    async def _watch_signals(self) -> None:
        """The first stops in order, the second at once."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as received:
            async for _ in received:
                if self._stopping.is_set():
                    self.kill()
                self.stop()

    async def _wait_ready(self, *names: str) -> None:
        for name in names:
            event = self._children[name].ready if name in self._children else self._steps[name][1]
            await event.wait()

    async def _announce(self, when_ready: Callable[[], Awaitable[None]]) -> None:
        vital = [name for name, child in self._children.items() if child.program.is_vital]
        await self._wait_ready(*vital, *self._steps)
        await when_ready()

    async def _do(self, step: Step, done: anyio.Event) -> None:
        await self._wait_ready(*step.needs)
        try:
            await step.run()
        except OrchestraError:
            raise
        except Exception as error:
            with logs.open_log(self._logs, step.name) as log:
                log.write(traceback.format_exc().encode())
            raise StepFailed(
                f"The step `{step.name}` failed, see {self._logs / step.name}.log: {error}"
            ) from error
        done.set()

    async def _keep(self, child: Child) -> None:
        if not child.program.prepares_itself:
            await self._wait_ready(*child.program.needs)
        while not self._stopping.is_set():
            started = clock.monotonic()
            await self._run_once(child)
            if self._stopping.is_set():
                return
            child.failures = (
                0 if clock.monotonic() - started > FORGIVEN_SECONDS else child.failures + 1
            )
            self._give_up_if_hopeless(child)
            child.restarts += 1
            await self._pause(child)

    async def _run_once(self, child: Child) -> None:
        try:
            with self._open_log(child) as output:
                process = await child.spawn(output=output)
        except OSError as error:
            if not child.restarts:
                raise
            child.last_end = f"could not be started: {error}"
            self._change(child, "restarting")
            return
        self._change(child, "starting")
        try:
            async with anyio.create_task_group() as watch:
                watch.start_soon(self._watch, child, process)
                await process.wait()
                watch.cancel_scope.cancel()
        finally:
            if process.returncode is not None:
                kill_group(process.pid, signal.SIGKILL)  # what it may have left behind
        child.process = None
        child.last_end = _describe_end(
            process.returncode, logs.last_line(self._logs, child.program.name)
        )
        self._change(child, "stopped" if self._stopping.is_set() else "restarting")

    def _open_log(self, child: Child) -> IO[bytes]:
        """The program's log; once it has run, it is started again without one rather than not."""
        try:
            return logs.open_log(self._logs, child.program.name)
        except DirectoryUnusable as error:
            if not child.restarts:
                raise
            self._on_trouble(f"{child.program.name} is started without a log: {error.message}")
            return Path(os.devnull).open("ab")

    async def _watch(self, child: Child, process: anyio.abc.Process) -> None:
        """Tells a waiting program to go when it can, and sees it become ready."""
        if process.stdin is not None:
            await self._wait_ready(*child.program.needs)
            await process.stdin.aclose()
        limit = clock.monotonic() + READY_SECONDS
        while not await anyio.to_thread.run_sync(child.program.is_ready, process.pid):
            if clock.monotonic() > limit:
                child.signal(signal.SIGKILL)
                return
            await anyio.sleep(POLL_SECONDS)
        self._change(child, "ready")
        child.ready.set()

    def _give_up_if_hopeless(self, child: Child) -> None:
        was_ready = child.ready.is_set() or not child.program.is_vital
        if child.failures >= HOPELESS_STARTS and not was_ready:
            raise HopelessStart(
                f"{child.program.name} does not start, see {self._logs / child.program.name}.log: "
                f"it {child.last_end}"
            )

    async def _pause(self, child: Child) -> None:
        """Waits longer after each death in a row, and not all programs equally long."""
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * math.pow(2, child.failures - 1))
        with anyio.move_on_after(longest / 2 + ids.full_jitter(longest / 2)):
            await self._stopping.wait()

    async def _stop_all(self) -> None:
        async with anyio.create_task_group() as tasks:
            for child in self._children.values():
                tasks.start_soon(self._stop, child)

    async def _stop(self, child: Child) -> None:
        for other in self._children.values():
            if child.program.name in self._all_needs(other.program.needs):
                await other.ended.wait()
        if child.process is not None:
            self._change(child, "stopping")
        await child.end()
        child.ended.set()

    def _all_needs(self, names: Sequence[str]) -> set[str]:
        """With the needs of the steps among them."""
        through = [step.needs for name, (step, _) in self._steps.items() if name in names]
        return {*names, *(name for needs in through for name in needs)}

    def _change(self, child: Child, state: str) -> None:
        child.state = state
        self._on_change(child.record())

    async def _rotate_logs(self) -> None:
        while True:
            await anyio.sleep(ROTATE_SECONDS)
            try:
                logs.rotate(self._logs)
            except OSError as error:
                self._on_trouble(f"The logs grow over their bound: {error}")


def _describe_end(code: int | None, last_line: str) -> str:
    if code is not None and code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
    else:
        how = f"ended with code {code}"
    return f"{how}: {last_line}" if last_line else how


def _expected(group: BaseExceptionGroup[BaseException]) -> OrchestraError | None:
    """The first expected failure in a group, however deep."""
    expected = group.subgroup(OrchestraError)
    while expected is not None:
        first = expected.exceptions[0]
        if isinstance(first, OrchestraError):
            return first
        expected = first
    return None

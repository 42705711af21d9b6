"""The supervisor: order, restarts, giving up, and an end that always comes."""

import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.to_thread
import psutil
import pytest
from orchestra.engines.process import Command
from orchestra.engines.testing import wait_until
from orchestra.foundation.errors import Unavailable
from orchestra.processes import logs, supervisor
from orchestra.processes.programs import HopelessStart, Program, Step, StepFailed
from orchestra.processes.record import ProcessRecord
from orchestra.processes.supervisor import Supervisor

pytestmark = pytest.mark.anyio
FOREVER = "while :; do sleep 0.1; done"


class Watched:
    """A supervisor, and everything it reported."""

    def __init__(self, directory: Path, *parts: Program | Step) -> None:
        self.changes: list[ProcessRecord] = []
        self.troubles: list[str] = []
        self._changed = anyio.Event()
        self.directory = directory
        self.supervisor = Supervisor(
            parts,
            log_directory=directory / "logs",
            on_change=self._on_change,
            on_trouble=self._on_trouble,
        )

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(change.name, change.state) for change in self.changes]

    async def run(self, when_ready: Callable[[], Awaitable[None]]) -> None:
        with anyio.fail_after(15):
            await self.supervisor.run(when_ready)

    async def stop(self) -> None:
        self.supervisor.stop()

    async def until(self, name: str, state: str, *, times: int = 1) -> None:
        with anyio.fail_after(10):
            while self.states.count((name, state)) < times:
                await self._changed.wait()

    async def until_trouble(self) -> str:
        with anyio.fail_after(10):
            while not self.troubles:
                await self._changed.wait()
        return self.troubles[0]

    def _on_trouble(self, trouble: str) -> None:
        self.troubles.append(trouble)
        self._changed.set()
        self._changed = anyio.Event()

    def _on_change(self, change: ProcessRecord) -> None:
        self.changes.append(change)
        self._changed.set()
        self._changed = anyio.Event()

    def pid(self, name: str) -> int:
        return next(item.pid for item in self.supervisor.records() if item.name == name)


def shell(name: str, script: str, directory: Path, *needs: str, seconds: float = 5) -> Program:
    argv = ("/bin/sh", "-c", script)
    return Program(
        name=name,
        command=Command(argv=argv, directory=directory, stop_seconds=seconds),
        needs=needs,
    )


async def test_a_program_starts_when_what_it_needs_is_ready(tmp_path: Path) -> None:
    watched = Watched(
        tmp_path, shell("second", FOREVER, tmp_path, "first"), shell("first", FOREVER, tmp_path)
    )
    await watched.run(watched.stop)
    assert watched.states.index(("first", "ready")) < watched.states.index(("second", "starting"))


async def test_programs_stop_in_the_reverse_order_through_the_steps_between(tmp_path: Path) -> None:
    async def nothing() -> None: ...

    watched = Watched(
        tmp_path,
        shell("first", FOREVER, tmp_path),
        Step(name="between", run=nothing, needs=("first",)),
        shell("second", FOREVER, tmp_path, "between"),
    )
    await watched.run(watched.stop)
    assert watched.states.index(("second", "stopped")) < watched.states.index(("first", "stopping"))


async def test_a_program_that_dies_is_started_again_and_shown(tmp_path: Path) -> None:
    watched = Watched(tmp_path, shell("one", FOREVER, tmp_path))

    async def kill_and_wait() -> None:
        former = watched.pid("one")
        os.kill(former, signal.SIGKILL)
        await watched.until("one", "ready", times=2)
        assert watched.pid("one") not in (0, former)
        watched.supervisor.stop()

    await watched.run(kill_and_wait)
    died = next(change for change in watched.changes if change.state == "restarting")
    assert died.last_end.startswith("was ended by SIGKILL")
    assert max(change.restarts for change in watched.changes) == 1


async def test_a_program_is_started_again_without_a_log_rather_than_not(tmp_path: Path) -> None:
    watched = Watched(tmp_path, shell("one", FOREVER, tmp_path))

    async def lose_the_logs_and_kill() -> None:
        (tmp_path / "logs").rename(tmp_path / "lost")
        (tmp_path / "logs").write_text("no directory")  # every write into it fails
        os.kill(watched.pid("one"), signal.SIGKILL)
        await watched.until("one", "ready", times=2)
        watched.supervisor.stop()

    await watched.run(lose_the_logs_and_kill)
    (trouble,) = watched.troubles
    assert trouble.startswith("one is started without a log: Cannot write to")


async def test_a_program_that_cannot_be_started_again_for_now_is_tried_again(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    watched = Watched(tmp_path, shell("one", FOREVER, home))

    async def lose_the_directory_and_kill() -> None:
        home.rename(tmp_path / "away")
        os.kill(watched.pid("one"), signal.SIGKILL)
        await watched.until("one", "restarting", times=2)
        (tmp_path / "away").rename(home)
        await watched.until("one", "ready", times=2)
        watched.supervisor.stop()

    await watched.run(lose_the_directory_and_kill)
    assert any("could not be started" in change.last_end for change in watched.changes)


async def test_logs_that_cannot_be_rotated_end_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "ROTATE_SECONDS", 0.01)
    monkeypatch.setattr(logs, "MAX_BYTES", 10)
    (tmp_path / "logs" / "one.log.1").mkdir(parents=True)  # nothing can be written over it
    watched = Watched(tmp_path, shell("one", f"echo {'x' * 20}; {FOREVER}", tmp_path))

    async def go_on() -> None:
        assert "grow over their bound" in await watched.until_trouble()
        os.kill(watched.pid("one"), signal.SIGKILL)
        await watched.until("one", "ready", times=2)
        watched.supervisor.stop()

    await watched.run(go_on)


async def test_a_program_that_never_becomes_ready_ends_the_start_with_its_last_words(
    tmp_path: Path,
) -> None:
    broken = Program(
        name="broken",
        command=Command(argv=("/bin/sh", "-c", "echo no such thing; exit 7"), directory=tmp_path),
        is_ready=lambda _pid: False,
    )
    watched = Watched(tmp_path, shell("healthy", FOREVER, tmp_path), broken)
    with pytest.raises(
        HopelessStart, match=r"broken does not start, see .*: it ended with code 7: no such"
    ):
        await watched.run(watched.stop)
    assert not any(_lives(change.pid) for change in watched.changes)


async def test_a_program_that_is_not_vital_holds_nothing_up(tmp_path: Path) -> None:
    extra = Program(
        name="extra",
        command=Command(argv=("/bin/false",), directory=tmp_path),
        is_ready=lambda _pid: False,
        is_vital=False,
    )
    watched = Watched(tmp_path, extra, shell("vital", FOREVER, tmp_path))
    await watched.run(watched.stop)
    assert ("vital", "ready") in watched.states


async def test_a_step_that_fails_stops_everything_and_says_why(tmp_path: Path) -> None:
    async def fail() -> None:
        raise Unavailable("PostgreSQL does not answer")

    watched = Watched(
        tmp_path,
        shell("one", FOREVER, tmp_path),
        Step(name="schema", run=fail, needs=("one",)),
    )
    with pytest.raises(Unavailable, match="PostgreSQL does not answer"):
        await watched.run(watched.stop)
    assert not any(_lives(change.pid) for change in watched.changes)


async def test_a_step_that_breaks_leaves_its_trace_in_a_log(tmp_path: Path) -> None:
    async def break_down() -> None:
        raise KeyError("unheard of")

    watched = Watched(tmp_path, Step(name="schema", run=break_down))
    with pytest.raises(StepFailed, match=r"The step `schema` failed, see .*: 'unheard of'"):
        await watched.run(watched.stop)
    assert "Traceback" in (tmp_path / "logs" / "schema.log").read_text()


async def test_a_program_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    stubborn = f"trap '' TERM; echo armed; {FOREVER}"
    log = tmp_path / "logs" / "stubborn.log"
    program = Program(
        name="stubborn",
        command=Command(argv=("/bin/sh", "-c", stubborn), directory=tmp_path, stop_seconds=0.3),
        is_ready=lambda _pid: "armed" in log.read_text(),
    )
    watched = Watched(tmp_path, program)
    await watched.run(watched.stop)
    assert not any(_lives(change.pid) for change in watched.changes)


async def test_what_a_dead_program_left_behind_is_ended(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "parent.log"
    parent = Program(
        name="parent",
        command=Command(argv=("/bin/sh", "-c", "sleep 60 & echo $!; wait"), directory=tmp_path),
        is_ready=lambda _pid: bool(log.read_text().strip()),
    )
    watched = Watched(tmp_path, parent)

    async def kill_the_parent() -> None:
        child = int(log.read_text().split()[0])
        os.kill(watched.pid("parent"), signal.SIGKILL)
        await watched.until("parent", "restarting")
        assert await anyio.to_thread.run_sync(
            lambda: wait_until(lambda: not _lives(child), seconds=5)
        )
        watched.supervisor.stop()

    await watched.run(kill_the_parent)


async def test_a_signal_stops_everything(tmp_path: Path) -> None:
    watched = Watched(tmp_path, shell("one", FOREVER, tmp_path))

    async def press_control_c() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    await watched.run(press_control_c)
    assert watched.states[-1] == ("one", "stopped")


def test_a_log_over_its_bound_is_cut_and_one_older_part_kept(tmp_path: Path) -> None:
    with logs.open_log(tmp_path, "chatty") as log:
        log.write(b"x" * (logs.MAX_BYTES + 1))
        log.flush()
        logs.rotate(tmp_path)
        log.write(b"after\n")
    assert (tmp_path / "chatty.log").read_bytes() == b"after\n"
    assert (tmp_path / "chatty.log.1").stat().st_size == logs.MAX_BYTES + 1


def _lives(pid: int) -> bool:
    if not pid:
        return False
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("first\nno such module\n", "no such module"),
        ("LOG: starting\nFATAL:  no space left\nLOG:  shut down\n", "no space left"),
        ('{"message": "cannot start", "error": "NATS is away"}\n', "cannot start: NATS is away"),
        ("", ""),
    ],
)
def test_the_last_words_of_a_program_are_for_people(
    tmp_path: Path, written: str, told: str
) -> None:
    with logs.open_log(tmp_path, "talker") as log:
        log.write(written.encode())
    assert logs.last_line(tmp_path, "talker") == told

"""Programs that a benchmark starts, pins to a core, and always ends."""

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
# One core for the system under test, one for the load: what we measure does not starve what
# measures it.
SYSTEM_CORE, LOAD_CORE = 0, 1
# Where the issue names a machine, the system has all of it, and shares one core with the load.
BOTH_CORES = f"{SYSTEM_CORE},{LOAD_CORE}"
STOP_SECONDS = 30.0


class Program:
    """One running program; its output goes to a log file that an error points to."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log
        self._is_gone = False

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until(self, condition: Callable[[], bool], *, seconds: float) -> None:
        """Raises TimeoutError, or RuntimeError if the program ends, with the end of its log."""
        limit = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                raise RuntimeError(f"it ended with code {self.process.returncode}: {self.tail()}")
            if time.monotonic() > limit:
                raise TimeoutError(f"not ready within {seconds} s: {self.tail()}")
            time.sleep(0.005)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-2_000:]

    def stop(self) -> None:
        """SIGTERM, then SIGKILL to the process group; nothing if it is gone already."""
        if self._is_gone:
            return
        self._is_gone = True
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)


def start(
    argv: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    cores: str = str(SYSTEM_CORE),
) -> Program:
    """Starts a program of the system under test, pinned to its core."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["taskset", "-c", cores, *argv],
            cwd=ROOT,
            env={**_clean_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    program = Program(process, log)
    # Also when the constructor of a system breaks off half-way.
    atexit.register(program.stop)
    return program


def pin_load() -> None:
    """Pins this process, which makes the load."""
    os.sched_setaffinity(0, {LOAD_CORE % (os.cpu_count() or 1)})


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _clean_environment() -> dict[str, str]:
    """Nothing of ours, and compiled files are allowed: peers start as they would at a user's."""
    skipped = ("ORCHESTRA_", "PYTHONDONTWRITEBYTECODE", "CELERY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(skipped)}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{kept.get('PATH', '')}"}

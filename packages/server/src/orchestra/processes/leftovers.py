"""One supervisor for a data directory, and nothing left of one that was killed."""

import fcntl
import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from orchestra.engines.errors import EngineError
from orchestra.engines.process import kill_group, unusable
from orchestra.foundation import clock
from orchestra.foundation.settings import Settings
from orchestra.processes.record import ProcessId, Record

# Children of a killed supervisor got their signal at once; PostgreSQL may still be writing a
# checkpoint.
LEAVE_SECONDS = 10.0
POLL_SECONDS = 0.02


class AlreadyRunning(EngineError):
    """Another `orchestra up` runs on this data directory."""


@contextmanager
def exclusive(settings: Settings) -> Generator[None]:
    """Holds the data directory's lock, which the kernel frees however we end; or AlreadyRunning."""
    path = settings.data_dir / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unusable(settings.data_dir, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise AlreadyRunning(
            f"AI Orchestra already runs on {settings.data_dir}; see `orchestra status`, "
            "or choose another directory with --data-dir."
        ) from error
    else:
        yield
    finally:
        os.close(descriptor)


def end(former: Record) -> None:
    """Ends what an earlier supervisor left running, so that its ports and files are free."""
    left = [item.process for item in former.processes if item.process.is_alive]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in left:
            kill_group(process.pid, number)
        if wait_until(lambda: not any(process.is_alive for process in left), seconds=LEAVE_SECONDS):
            return


def stop(process: ProcessId, *, seconds: float) -> bool:
    """Asks one process to end; says whether it did in time."""
    try:
        os.kill(process.pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    return wait_until(lambda: not process.is_alive, seconds=seconds)


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    limit = clock.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if clock.monotonic() > limit:
            return False
        pause.wait(POLL_SECONDS)
    return True

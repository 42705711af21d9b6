"""Results on disk until the server has committed them, for agents that survive their own restart.

One file per run: the stream message that still has to be sent. It is written beside, flushed to
the disk and renamed, so a file is whole or not there.
"""

import logging
import os
import sys
from pathlib import Path

from google.protobuf.message import DecodeError
from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _wire
from orchestra_sdk._errors import StateInUse
from orchestra_sdk._events import EventLog
from orchestra_sdk._run import Run

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_log = logging.getLogger("orchestra_sdk")


class Journal:
    """The state directory of one agent; only one process at a time may hold it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._lock = (directory / "lock").open("w")
        try:
            _lock(self._lock.fileno())
        except OSError as error:
            self._lock.close()
            message = f"{directory} is in use by another process of this agent"
            raise StateInUse(message) from error

    def close(self) -> None:
        """Let another process have the directory."""
        self._lock.close()

    def save(self, run: Run, message: pb.TaskMessage) -> None:
        """Keep the message that ends `run`."""
        self._write(self._path(run), message.SerializeToString())

    def forget(self, run: Run) -> None:
        """Remove the file of a run that is over for good."""
        self._path(run).unlink(missing_ok=True)

    def load(self) -> list[Run]:
        """Return the runs that an earlier process ended and the server may not have."""
        runs: list[Run] = []
        for path in sorted(self._directory.glob("*.run")):
            try:
                message = pb.TaskMessage.FromString(path.read_bytes())
            except DecodeError:
                _log.exception("%s cannot be read and is left alone", path)
                continue
            events = _wire.unwrap(message, pb.TaskEvents).events
            runs.append(
                Run(
                    task_id=message.task_id,
                    epoch=message.epoch,
                    assignment=pb.Assignment(),
                    log=EventLog(events),
                )
            )
        return runs

    def _path(self, run: Run) -> Path:
        # The id comes from the wire: only its hexadecimal form may become a file name.
        return self._directory / f"{run.task_id.encode().hex()}-{run.epoch}.run"

    def _write(self, path: Path, content: bytes) -> None:
        beside = path.with_suffix(".new")
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        if sys.platform != "win32":  # there a directory cannot be opened, nor need be
            descriptor = os.open(self._directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

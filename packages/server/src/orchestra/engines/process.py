"""A program of this machine as a value, and the few things done with one: run, spawn, stop."""

import errno
import itertools
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from orchestra.engines.errors import DirectoryUnusable, EngineError, PortTaken
from orchestra.engines.identity import SAME, Identity, prefix
from orchestra.foundation import ids

# Preparing an engine (initdb) took 0.6 s; ten times slower machines with cold disks exist.
PREPARE_SECONDS = 60.0
# Below those that systems give to outgoing connections (Linux: from 32,768).
LISTENING_PORTS = range(20_000, 30_000)


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a program, and how it wants to be told to stop.

    `death_signal` is what it gets when this process is killed: nobody would be there to insist, so
    it is one that cannot be ignored, except for engines that write. `sockets` are those it will
    make: one that a killed predecessor left would be in its way.
    """

    argv: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    identity: Identity = SAME
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    death_signal: signal.Signals = signal.SIGKILL
    sockets: tuple[Path, ...] = ()

    @property
    def launch_argv(self) -> list[str]:
        """With the launcher in front, so that the program dies with this process."""
        return [*prefix(self.identity, signal_number=self.death_signal), *self.argv]

    @property
    def full_environment(self) -> dict[str, str]:
        """Its own variables on top of ours."""
        return {**os.environ, **self.environment}

    def remove_old_sockets(self) -> None:
        for path in self.sockets:
            path.unlink(missing_ok=True)


def spawn(command: Command, *, output: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """Starts the program in a session of its own: a Ctrl-C at the terminal is ours to pass on.

    Call it from a thread that lives as long as the program should: the kernel takes the end of the
    thread that forked for the death of the parent.
    """
    command.remove_old_sockets()
    return subprocess.Popen(
        command.launch_argv,
        cwd=command.directory,
        env=command.full_environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def run(command: Command, *, purpose: str, text: str = "") -> str:
    """Runs the program to its end and returns what it printed; raises EngineError if it fails."""
    result = subprocess.run(
        command.launch_argv,
        cwd=command.directory,
        env=command.full_environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=PREPARE_SECONDS,
        check=False,
    )
    if result.returncode != 0:
        raise EngineError(f"Could not {purpose}: {_last_line(result.stderr or result.stdout)}")
    return result.stdout


def kill_group(pid: int, number: signal.Signals) -> None:
    """Signals a program and the processes it started; it leads their group, see `spawn`."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def free_port() -> int:
    """See `free_ports`."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """TCP ports of the loopback interface that nobody listens on now.

    No outgoing connection is given one of them before its program listens; raises PortTaken.
    """
    start, _ = ids.pair_below(len(LISTENING_PORTS))
    in_turn = itertools.chain(LISTENING_PORTS[start:], LISTENING_PORTS[:start])
    found = list(itertools.islice(filter(_is_free, in_turn), count))
    if len(found) < count:
        first, last = LISTENING_PORTS[0], LISTENING_PORTS[-1]
        raise PortTaken(f"All ports from {first} to {last} are in use by other programs.")
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def check_port(port: int, *, used_for: str, address: str = "127.0.0.1", udp: bool = False) -> None:
    """Raises PortTaken when a program cannot listen there, most often since another one does."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as listener:
        if not udp:  # a connection of before, in its last minute, is no reason
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
        except OSError as error:
            raise PortTaken(_why_not(port, used_for, error)) from error


def _why_not(port: int, used_for: str, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            reason = "is in use by another program: stop it, or choose another port"
        case errno.EACCES:
            reason = "needs root: choose one above 1023"
        case _:
            reason = f"cannot be used: {error.strerror or error}"
    return f"Port {port} for {used_for} {reason}."


def make_directory(path: Path, *, mode: int = 0o700) -> Path:
    """Makes a directory, or raises DirectoryUnusable with the reason in words."""
    try:
        if not path.is_dir():
            path.mkdir(parents=True)
            path.chmod(mode)  # whatever the umask is
    except OSError as error:
        raise unusable(path, error) from error
    return path


def write_private(path: Path, text: str) -> None:
    """Replaces a file that only its owner may read, in one step.

    It is flushed before it gets its name: after a power cut there is the old one or the new one,
    and never an empty one, with which an engine would not start.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
    except OSError as error:
        raise unusable(path.parent, error) from error


def unusable(path: Path, error: OSError) -> DirectoryUnusable:
    return DirectoryUnusable(f"Cannot write to {path}: {error.strerror or error}.")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it printed nothing"

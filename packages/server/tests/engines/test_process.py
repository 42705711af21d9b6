"""Programs die with who started them; what is wrong with a port or directory is said in words."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from orchestra.engines.address import Address, accepts
from orchestra.engines.errors import DirectoryUnusable, EngineError, PortTaken
from orchestra.engines.process import (
    Command,
    check_port,
    free_port,
    free_ports,
    make_directory,
    run,
)
from orchestra.engines.testing import Running, wait_until

# A parent that starts a program by `spawn` and tells its id.
PARENT = """
import pathlib, sys
from orchestra.engines.process import Command, spawn
child = spawn(Command(argv=("/bin/sleep", "60"), directory=pathlib.Path("/")), output=2)
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_program_dies_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert wait_until(lambda: child.name() == "sleep", seconds=5)
        parent.kill()
        parent.wait()
        assert wait_until(lambda: _has_ended(child), seconds=5)


def test_a_program_that_fails_says_why() -> None:
    command = Command(
        argv=("/bin/sh", "-c", "echo first; echo the reason >&2; exit 3"), directory=Path("/")
    )
    with pytest.raises(EngineError, match="Could not try: the reason"):
        run(command, purpose="try")


def test_a_program_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    stubborn = "trap '' TERM; while :; do sleep 1; done"
    command = Command(argv=("/bin/sh", "-c", stubborn), directory=tmp_path, stop_seconds=0.2)
    process = Running(command, log=tmp_path / "log", is_ready=lambda pid: psutil.pid_exists(pid))
    process.start()
    pid = process.pid
    process.stop()
    assert not psutil.pid_exists(pid)


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} for HTTP is in use by another program"):
            check_port(port, used_for="HTTP")


def test_a_free_port_is_free() -> None:
    check_port(free_port(), used_for="HTTP")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DirectoryUnusable, match="Permission denied"):
        make_directory(tmp_path / "below")


def test_a_file_in_the_way_of_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DirectoryUnusable, match="Not a directory"):
        make_directory(tmp_path / "file" / "below")


@pytest.mark.parametrize("text", ["", "localhost", "host:port", "/a/path"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(EngineError, match="is no address"):
        Address(text)


def test_nobody_answers_at_an_address_without_a_server(tmp_path: Path) -> None:
    assert not accepts(Address(f"unix:{tmp_path}/none.sock"))
    assert not accepts(Address(f"127.0.0.1:{free_port()}"))


def test_a_signal_that_ends_a_program_reaches_what_it_started(tmp_path: Path) -> None:
    family = "sleep 60 & echo $!; wait"
    command = Command(
        argv=("/bin/sh", "-c", family), directory=tmp_path, stop_signal=signal.SIGTERM
    )
    log = tmp_path / "log"
    process = Running(command, log=log, is_ready=lambda _: bool(log.read_text().strip()))
    process.start()
    child = psutil.Process(int(log.read_text()))
    process.stop()
    assert wait_until(lambda: _has_ended(child), seconds=5)


def _has_ended(process: psutil.Process) -> bool:
    """Buried or not: in a container nobody may be there to do that."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_free_ports_differ_and_are_none_that_an_outgoing_connection_gets() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    lowest, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert max(ports) < int(lowest)


def test_a_port_that_somebody_has_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr("orchestra.engines.process.LISTENING_PORTS", range(port, port + 1))
        with pytest.raises(PortTaken, match=f"from {port} to {port}"):
            free_port()

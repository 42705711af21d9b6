"""PostgreSQL for one machine: a unix socket only, trusted because only its owner can reach the
socket.
"""

import os
import shutil
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil

from orchestra.engines.binaries import POSTGRES_MAJOR, postgres_directory
from orchestra.engines.errors import EngineError, OldDatabase
from orchestra.engines.identity import Identity, unprivileged
from orchestra.engines.process import Command, make_directory, run
from orchestra.foundation import clock, keyfiles

ROLE = DATABASE = "orchestra"
# sockaddr_un has 108 bytes with the final zero; PostgreSQL adds a name to the directory.
LONGEST_SOCKET_PATH = 107
SOCKET_NAME = ".s.PGSQL.5432"
# The line of postmaster.pid in which pg_ctl, too, looks whether the server is ready.
STATUS_LINE = 7
# A server whose parent was killed ends its sessions and writes a checkpoint first.
PREDECESSOR_SECONDS = 60.0
POLL_SECONDS = 0.05

CONFIGURATION = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "min_wal_size": "80MB",
    "wal_compression": "on",
    # Idle cost: no I/O workers, no logical replication launcher, and few wake-ups.
    "io_method": "sync",
    "max_logical_replication_workers": "0",
    "bgwriter_delay": "1s",
    "wal_writer_delay": "1s",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "1s",
    "idle_in_transaction_session_timeout": "60s",
}
# For tests: what a power cut would lose does not matter there.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Postgres:
    """One local server: its data directory, the directory of its socket, and as whom it runs.

    `former_pid` is in the lock file of a killed server, and no server's any more.
    """

    directory: Path
    socket_directory: Path
    identity: Identity
    durable: bool = True
    former_pid: int | None = None

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{ROLE}@/{database}?host={quote(str(self.socket_directory), safe='/')}"

    def command(self) -> Command:
        options = CONFIGURATION | ({} if self.durable else NOT_DURABLE)
        options |= {"unix_socket_directories": str(self.socket_directory)}
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
        return self._program("postgres", "-D", str(self.directory), *flags)

    def is_ready(self, pid: int) -> bool:
        """Whether the server started as process `pid` takes queries."""
        lines = _lock_file(self.directory)
        started = len(lines) > STATUS_LINE and lines[0].strip() == str(pid)
        return started and lines[STATUS_LINE].strip() == "ready"

    def query(self, sql: str, *, database: str = DATABASE) -> str:
        """Runs SQL with psql; for maintenance and tests, not for the product."""
        socket = str(self.socket_directory)
        client = ("psql", "-X", "-q", "-A", "-t", "-h", socket, "-U", ROLE, "-d", database)
        return run(
            self._program(*client, "-v", "ON_ERROR_STOP=1"), purpose="run SQL", text=sql
        ).strip()

    def initdb(self) -> Command:
        """Text is UTF-8 and sorts by code point, whatever locales the machine has."""
        locale = (
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        )
        access = ("--auth-local=trust", "--auth-host=reject", f"--username={ROLE}")
        sync = () if self.durable else ("--no-sync",)
        return self._program("initdb", "-D", str(self.directory), *locale, *access, *sync)

    def single_user(self) -> Command:
        """A server that reads SQL from its standard input, before anybody can connect."""
        return self._program(
            "postgres",
            "--single",
            "-D",
            str(self.directory),
            "-c",
            "log_min_messages=error",
            "postgres",
        )

    def _program(self, name: str, *arguments: str) -> Command:
        return Command(
            argv=(str(postgres_directory() / name), *arguments),
            directory=Path("/"),
            # Nothing of the caller's PGHOST, PGDATA … may reach the server or psql.
            environment={
                "LC_ALL": "C",
                "PGTZ": "UTC",
                "PGHOST": "",
                "PGDATABASE": "",
                "PGUSER": "",
                # The one process besides itself that the server takes no lock file from: a zombie
                # that nobody buries, or a stranger with the same number, would block it for ever.
                "PG_GRANDPARENT_PID": str(self.former_pid or ""),
            },
            identity=self.identity,
            # Fast shutdown: sessions end, nothing committed is lost.
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
        )


def prepare(directory: Path, *, socket_directory: Path, durable: bool = True) -> Postgres:
    """Makes the data directory on first use; raises OldDatabase, or EngineError with the reason."""
    _check_socket_path(socket_directory)
    make_directory(directory.parent)
    reaches = [postgres_directory(), socket_directory.parent]
    identity = unprivileged(reads=reaches, owns=directory)
    identity.own(make_directory(socket_directory))
    check_version(directory)
    server = Postgres(directory, socket_directory, identity, durable, _await_end(directory))
    if not (directory / "PG_VERSION").exists():
        _create(server)
    return server


def check_version(directory: Path) -> None:
    """Raises OldDatabase unless the data directory is ours to use, or yet to be made."""
    try:
        found = (directory / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return
    if found != str(POSTGRES_MAJOR):
        raise OldDatabase(
            f"The database in {directory} was written by PostgreSQL {found}, but this version "
            f"brings PostgreSQL {POSTGRES_MAJOR}: upgrade it with pg_upgrade, or move it away."
        )


def _await_end(directory: Path) -> int | None:
    """Waits until no server of an earlier start uses the directory; returns the last one's id."""
    lines = _lock_file(directory)
    if not lines or not lines[0].strip().isdecimal():
        return None
    pid = int(lines[0])
    limit, pause = clock.monotonic() + PREDECESSOR_SECONDS, threading.Event()
    while _serves(pid, directory):
        if clock.monotonic() > limit:
            raise EngineError(f"PostgreSQL still uses {directory}: stop its process {pid} first.")
        pause.wait(POLL_SECONDS)
    return pid


def _serves(pid: int, directory: Path) -> bool:
    """Whether that process is a live server of this directory."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and str(directory) in process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # gone, or somebody else's
        return False


def _lock_file(directory: Path) -> list[str]:
    """What a server that runs, or was killed, tells of itself, by line; nothing otherwise."""
    try:
        return (directory / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def _check_socket_path(directory: Path) -> None:
    if len(os.fsencode(directory / SOCKET_NAME)) > LONGEST_SOCKET_PATH:
        raise EngineError(
            f"The path {directory} is too long for a unix socket; choose a shorter one."
        )


def _create(server: Postgres) -> None:
    """Prepares beside the final place and renames: a crash half-way leaves nothing in use."""
    fresh = server.directory.with_name(server.directory.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    server.identity.own(make_directory(fresh))
    unfinished = Postgres(fresh, server.socket_directory, server.identity, server.durable)
    run(unfinished.initdb(), purpose="create the database")
    run(
        unfinished.single_user(),
        purpose="create the database",
        text=f"CREATE DATABASE {DATABASE}\n",
    )
    if server.directory.exists():
        server.directory.rmdir()
    fresh.rename(server.directory)
    if server.durable:
        keyfiles.flush_names(server.directory.parent)

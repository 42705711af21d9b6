"""Real engines for tests, quick to start: PostgreSQL without fsync, NATS, the model server.

Each `start_*` is a context manager that yields a running engine and ends it. A test run that is
killed leaves nothing behind, since the engines die with the process that started them.
"""

import asyncio
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from orchestra.engines import model, nats, postgres
from orchestra.engines.errors import EngineError
from orchestra.engines.process import Command, free_port, kill_group, spawn
from orchestra.foundation import clock, ids

START_SECONDS = 30.0
POLL_SECONDS = 0.01


class Running:
    """A program that was started, and that a test may kill, stop and start again."""

    def __init__(self, command: Command, *, log: Path, is_ready: Callable[[int], bool]) -> None:
        self.command = command
        self.log = log
        self._is_ready = is_ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise EngineError("It is not running.")
        return self._process.pid

    def start(self) -> None:
        """Starts it and waits until it is ready; raises EngineError with the end of its log
        otherwise.
        """
        with self.log.open("ab") as output:
            self._process = spawn(self.command, output=output)
        started = wait_until(
            lambda: self._is_ready(self.pid) or self._ended(), seconds=START_SECONDS
        )
        if self._ended() or not started:
            self.kill()
            raise EngineError(
                f"{self.command.argv[0]} did not start: {self.log.read_text()[-2000:]}"
            )

    def stop(self) -> None:
        """Asks it to stop, and kills it if it does not."""
        if self._process is None:
            return
        kill_group(self.pid, self.command.stop_signal)
        try:
            self._process.wait(self.command.stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """Ends it at once, with everything it started."""
        if self._process is not None:
            kill_group(self.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None


@dataclass(frozen=True, slots=True)
class RunningPostgres:
    server: postgres.Postgres
    process: Running

    @property
    def url(self) -> str:
        return self.server.url()

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Makes a database and returns its URL; not for the thread of a running loop.

        Copying the files of a template of our size takes 16 ms in memory; the default way, through
        the write-ahead log, took 130 ms there.
        """
        self._maintain(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return self.server.url(name)

    def drop_database(self, name: str) -> None:
        self._maintain(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _maintain(self, sql: str) -> None:
        asyncio.run(_execute(self.server.url("postgres"), sql))


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url, timeout=START_SECONDS, command_timeout=START_SECONDS)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class RunningNats:
    server: nats.Nats
    process: Running

    @property
    def url(self) -> str:
        return self.server.url


@dataclass(frozen=True, slots=True)
class RunningModel:
    server: model.Model
    process: Running

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def key(self) -> str:
        return self.server.key


@contextmanager
def start_postgres(directory: Path, *, durable: bool = False) -> Generator[RunningPostgres]:
    """Yields a server with an empty database `orchestra`; its files are in `directory`/postgres."""
    sockets = Path(
        tempfile.mkdtemp(prefix="orchestra-pg-")
    )  # a short path: sockets allow 107 bytes
    sockets.chmod(0o711)
    server = postgres.prepare(
        directory / "postgres", socket_directory=sockets / "s", durable=durable
    )
    process = Running(server.command(), log=directory / "postgres.log", is_ready=server.is_ready)
    try:
        process.start()
        yield RunningPostgres(server, process)
    finally:
        process.stop()
        shutil.rmtree(sockets, ignore_errors=True)


@contextmanager
def start_nats(directory: Path) -> Generator[RunningNats]:
    """Yields a server with JetStream; its files are in `directory`/nats."""
    server = nats.prepare(directory / "nats", port=free_port(), password=ids.new_secret())
    process = Running(
        server.command(), log=directory / "nats.log", is_ready=lambda _: server.is_ready()
    )
    try:
        process.start()
        yield RunningNats(server, process)
    finally:
        process.stop()


@contextmanager
def start_model(directory: Path) -> Generator[RunningModel]:
    """Yields a model server; loading takes about a second."""
    server = model.prepare(directory / "model", port=free_port(), key=ids.new_secret())
    process = Running(
        server.command(), log=directory / "model.log", is_ready=lambda _: server.is_ready()
    )
    try:
        process.start()
        yield RunningModel(server, process)
    finally:
        process.stop()


def wait_until(condition: Callable[[], object], *, seconds: float) -> bool:
    """Polls until `condition` holds; says whether it did in time."""
    limit = clock.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if clock.monotonic() > limit:
            return False
        pause.wait(POLL_SECONDS)
    return True

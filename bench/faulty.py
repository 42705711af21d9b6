"""Systems whose worker and broker can be killed, and whose broker can forget."""

import asyncio
import contextlib
import http.client
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from orchestra.engines.binaries import nats_server
from orchestra.engines.process import free_port

from bench import programs
from bench.faults_agent import CAPABILITY
from bench.peers import effects, untyped
from bench.peers.celery_redis import REDIS_OPTIONS, redis_server
from bench.product import Product
from bench.programs import Program

READY_SECONDS = 60.0
SUBMIT_SECONDS = 10.0
CELERY = "bench.peers.faulty_celery_app"
TASKIQ = "bench.peers.faulty_taskiq_app"


class Faulty(Protocol):
    """A started task system with one worker of eight slots."""

    name: str
    effects: Path

    def submit(self, number: int) -> None:
        """Returns when it is acknowledged; raises when it is not."""
        ...

    def restart_worker(self) -> None:
        """kill -9, and a new one at once."""
        ...

    def restart_broker(self, *, forgets: bool) -> None:
        """kill -9, and a new one at once, without its files if it `forgets`."""
        ...

    def keep_alive(self) -> None:
        """What a service manager does: starts a worker again that has ended by itself."""
        ...

    def stop(self) -> None: ...


class Ours:
    """The product; its broker is NATS."""

    name = "AI Orchestra"

    def __init__(self, directory: Path) -> None:
        self.effects = directory / "ours.effects"
        self._product = Product(directory)
        self._product.start()
        self._start: Callable[[], Program] = lambda: programs.start(
            [sys.executable, "-m", "bench.faults_agent"],
            log=directory / "agent.log",
            environment={
                effects.ENVIRONMENT: str(self.effects),
                "ORCHESTRA_URL": self._product.url,
                "ORCHESTRA_KEY_FILE": str(self._product.data / "keys" / "local.key"),
            },
        )
        self._worker = self._start()
        self._worker.wait_until(
            lambda: self._product.count_agents(CAPABILITY) == 1, seconds=READY_SECONDS
        )

    def submit(self, number: int) -> None:
        address = self._product.url.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=SUBMIT_SECONDS)
        body = json.dumps({"capability": CAPABILITY, "input": {"number": number}})
        headers = {
            "Authorization": f"Bearer {self._product.key}",
            "Content-Type": "application/json",
        }
        try:
            connection.request("POST", "/api/tasks", body, headers)
            answer = connection.getresponse()
            if answer.status >= http.client.BAD_REQUEST:
                raise ConnectionError(f"{answer.status} {answer.read()!r}")
        finally:
            connection.close()

    def restart_worker(self) -> None:
        _kill(self._worker)
        self._worker = self._start()

    def keep_alive(self) -> None:
        if self._worker.process.poll() is not None:
            self._worker = self._start()

    def restart_broker(self, *, forgets: bool) -> None:
        os.killpg(self._product.parts()["nats"], signal.SIGKILL)
        if forgets:  # the supervisor starts it again
            shutil.rmtree(self._product.data / "nats" / "store", ignore_errors=True)

    def stop(self) -> None:
        self._worker.stop()
        self._product.stop()


class _Peer:
    """A broker and a worker that we start ourselves."""

    def __init__(self, directory: Path, name: str) -> None:
        self.effects = directory / f"{name}.effects"
        self.store = directory / f"{name}-store"
        self.store.mkdir()
        self.port = free_port()
        self._log = directory / f"{name}.log"
        self._broker = self.start_broker()
        self._worker = self.start_worker()

    def start_broker(self) -> Program:
        program = programs.start(self.broker_command(), log=self._log)
        program.wait_until(lambda: programs.listens(self.port), seconds=READY_SECONDS)
        return program

    def start_worker(self) -> Program:
        environment = {effects.ENVIRONMENT: str(self.effects), **self.environment()}
        return programs.start(self.worker_command(), log=self._log, environment=environment)

    def restart_worker(self) -> None:
        _kill(self._worker)
        self._worker = self.start_worker()

    def keep_alive(self) -> None:
        if self._worker.process.poll() is not None:
            self._worker = self.start_worker()

    def restart_broker(self, *, forgets: bool) -> None:
        _kill(self._broker)
        if forgets:
            shutil.rmtree(self.store)
            self.store.mkdir()
        self._broker = self.start_broker()

    def stop(self) -> None:
        self._worker.stop()
        self._broker.stop()

    def broker_command(self) -> list[str]:
        raise NotImplementedError

    def worker_command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        raise NotImplementedError


class FaultyCelery(_Peer):
    """Celery on Redis, late acknowledgement."""

    name = "Celery + Redis"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "celery")
        os.environ.update(self.environment())
        self._app: Any = untyped(CELERY)
        self._app.app.conf.broker_transport_options = {"socket_timeout": SUBMIT_SECONDS}

    def submit(self, number: int) -> None:
        self._app.work.apply_async((number,), retry=False)

    def broker_command(self) -> list[str]:
        place = ["--port", str(self.port), "--dir", str(self.store)]
        return [redis_server(), *place, *REDIS_OPTIONS]

    def worker_command(self) -> list[str]:
        options = shlex.split("worker -P threads -c 8 -l warning --without-gossip")
        return [sys.executable, "-m", "celery", "-A", CELERY, *options]

    def environment(self) -> dict[str, str]:
        return {"BENCH_REDIS_URL": f"redis://127.0.0.1:{self.port}/0"}


class FaultyTaskiq(_Peer):
    """Taskiq on JetStream."""

    name = "Taskiq + NATS"

    def __init__(self, directory: Path) -> None:
        self._configuration = directory / "taskiq.conf"
        super().__init__(directory, "taskiq")
        os.environ.update(self.environment())
        self._app: Any = untyped(TASKIQ)
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._app.broker.startup())

    def submit(self, number: int) -> None:
        sending = self._app.work.kiq(number)
        self._loop.run_until_complete(asyncio.wait_for(sending, SUBMIT_SECONDS))

    def stop(self) -> None:
        with contextlib.suppress(Exception):  # its broker may have forgotten everything
            leaving = asyncio.wait_for(self._app.broker.shutdown(), SUBMIT_SECONDS)
            self._loop.run_until_complete(leaving)
        super().stop()

    def broker_command(self) -> list[str]:
        self._configuration.write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{self.store}", sync_interval: always }}\n'
        )
        return [str(nats_server()), "-c", str(self._configuration)]

    def worker_command(self) -> list[str]:
        options = ("--workers", "1", "--max-async-tasks", "8")
        return [sys.executable, "-m", "taskiq", "worker", f"{TASKIQ}:broker", *options]

    def environment(self) -> dict[str, str]:
        return {"BENCH_NATS_URL": f"nats://127.0.0.1:{self.port}"}


def _kill(program: Program) -> None:
    os.killpg(program.pid, signal.SIGKILL)
    program.process.wait(READY_SECONDS)

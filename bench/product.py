"""AI Orchestra as a user starts it: `orchestra up` on a directory and ports of its own."""

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestra.engines.process import free_port

from bench import programs
from bench.agent import CAPABILITY
from bench.api import Api
from bench.ledger import ENVIRONMENT, Ledger
from bench.programs import Program
from bench.systems import Steady

START_SECONDS = 90.0
BATCH = 500
# The feeds benchmark opens thousands in one name, and asks one process what they cost.
SETTINGS = {"ORCHESTRA_FEED_MAX_PER_CALLER": "20000", "ORCHESTRA_LOG_LEVEL": "warning"}


class Product:
    """One instance in a temporary directory; `start` and `stop` may be repeated."""

    def __init__(
        self, directory: Path, *, cores: str = str(programs.SYSTEM_CORE), **settings: str
    ) -> None:
        self.directory = directory
        self._cores = cores
        self._settings = {**SETTINGS, **settings}
        self.data = directory / "data"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._https_port = free_port()
        self._supervisor: Program | None = None

    def start(self) -> float:
        """Returns the seconds from the command to the line that says it is ready."""
        log = self.directory / "up.log"
        port = self.url.rpartition(":")[2]
        ports = ["--http-port", port, "--https-port", str(self._https_port)]
        log.unlink(missing_ok=True)
        began = time.monotonic()
        command = [str(programs.BIN / "orchestra"), "up", "--json", "--data-dir", str(self.data)]
        self._supervisor = programs.start(
            [*command, *ports], log=log, environment=self._settings, cores=self._cores
        )
        self._supervisor.wait_until(lambda: _says_ready(log), seconds=START_SECONDS)
        return time.monotonic() - began

    def stop(self) -> None:
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None

    @property
    def pid(self) -> int:
        """The supervisor, from which every process of the instance descends."""
        if self._supervisor is None:
            raise RuntimeError("the product does not run")
        return self._supervisor.pid

    @property
    def key(self) -> str:
        """This machine's own API key."""
        return (self.data / "keys" / "local.key").read_text().strip()

    def api(self) -> Api:
        return Api(self.url, self.key)

    def record(self) -> Mapping[str, Any]:
        """`runtime.json`: process ids, ports, addresses."""
        return json.loads((self.data / "runtime.json").read_bytes())

    def agent_environment(self) -> dict[str, str]:
        """What an agent has to know to connect here."""
        return {
            "ORCHESTRA_URL": self.url,
            "ORCHESTRA_KEY_FILE": str(self.data / "keys" / "local.key"),
        }

    def count_agents(self, capability: str) -> int:
        """Those that can take a task, or are at work."""
        path = f"/api/agents?capability={capability}&limit=100"
        items = self.api().request("GET", path)["items"]
        return sum(item["status"] in {"online", "busy"} for item in items)

    def has_agent(self, capability: str) -> bool:
        return self.count_agents(capability) > 0

    def parts(self) -> dict[str, int]:
        """The process id of each program of the instance; the supervisor only watches them."""
        return {item["name"]: int(item["pid"]) for item in self.record()["processes"]}


class ProductTasks(Steady):
    """The product with one agent of eight slots, as a task system."""

    name = "AI Orchestra"
    durability = "PostgreSQL commit, flushed before the acknowledgement"

    def __init__(self, product: Product, directory: Path) -> None:
        self._product = product
        self._api = product.api()
        self.ledger = Ledger(directory / "ours.ledger")
        self._agent = programs.start(
            [sys.executable, "-m", "bench.agent"],
            log=directory / "agent.log",
            environment={ENVIRONMENT: str(self.ledger.path), **product.agent_environment()},
        )
        self._agent.wait_until(lambda: product.has_agent(CAPABILITY), seconds=30)

    @property
    def parts(self) -> Mapping[str, int]:
        return {**self._product.parts(), "agent": self._agent.pid}

    def submit(self, sent_ns: int) -> None:
        self._api.request("POST", "/api/tasks", _task(sent_ns))

    def submit_many(self, count: int) -> None:
        for start in range(0, count, BATCH):
            size = min(BATCH, count - start)
            sent_ns = time.monotonic_ns()
            self._api.request("POST", "/api/tasks/batch", {"tasks": [_task(sent_ns)] * size})

    def wait_done(self, count: int, *, seconds: float) -> None:
        self.ledger.wait_for(count, seconds=seconds)
        limit = time.monotonic() + seconds
        while any(self._some(state) for state in ("running", "queued")):
            if time.monotonic() > limit:
                raise TimeoutError("the results were not committed in time")
            time.sleep(0.01)

    def stop(self) -> None:
        self._agent.stop()

    def _some(self, state: str) -> bool:
        path = f"/api/tasks?capability={CAPABILITY}&state={state}&limit=1"
        return bool(self._api.request("GET", path)["items"])


def temporary_directory() -> tempfile.TemporaryDirectory[str]:
    """PostgreSQL is another user when we are root, and has to pass through."""
    directory = tempfile.TemporaryDirectory(prefix="ao-bench-", ignore_cleanup_errors=True)
    Path(directory.name).chmod(0o711)
    return directory


def _task(sent_ns: int) -> dict[str, object]:
    return {"capability": CAPABILITY, "input": {"sent_ns": sent_ns}}


def _says_ready(log: Path) -> bool:
    return log.exists() and b'"setup_url"' in log.read_bytes()

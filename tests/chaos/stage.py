"""Where a run happens: the product, its agents, the load, the readers and our eyes."""

import json
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import asyncpg
from e2e.product import Product, wait_until

from bench.machine import resident_bytes
from chaos import evidence
from chaos.agents import AgentProcess
from chaos.checker import TERMINAL
from chaos.code import Code
from chaos.disk import Disk
from chaos.evidence import Evidence, Window
from chaos.journal import Journal, Memory, Sample
from chaos.load import ORDINARY, Load, Wish, wishes
from chaos.people import People
from chaos.provider import Provider
from chaos.readers import Readers

READERS = 6
CRASH_POINTS = "crash-points"  # the directory in which points are armed, beside the product's own
SAMPLE_SECONDS = 0.5
ONLINE_SECONDS = 40.0
# After the load and the healing; a lost lease, retries and their pauses fit into it many times.
END_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much load a run has. `fleet`: how many more agents come, and stay, while it runs."""

    submits: int = 150
    rate: float = 20.0  # submits a second
    agents: int = 3
    fleet: int = 0


class Stage:
    """One run: everything in a directory of its own, in a queue of its own."""

    def __init__(
        self,
        product: Product,
        directory: Path,
        *,
        queue: str,
        random: Random,
        size: Size,
        disk: Disk | None = None,
        code: Code | None = None,
    ) -> None:
        self.product, self.directory, self.queue = product, directory, queue
        self.random, self.size, self.disk, self.code = random, size, disk, code
        self.provider: Provider | None = None  # for faults that have one
        self.broken: list[Window] = []
        self.extra: list[Wish] = []
        self.injected_at = 0.0
        self.over_at = 0.0
        self.database_url: str = _database_url(product)
        self.agents = [
            AgentProcess(f"{queue}-{number}", product, directory, queue)
            for number in range(1, size.agents + 1)
        ]
        self._journals = {
            name: Journal(directory / name)
            for name in (evidence.SUBMITS, evidence.FEEDS, evidence.SAMPLES, evidence.MEMORY)
        }
        self.readers = Readers(product, self._journals[evidence.FEEDS], most=READERS)
        self.load = Load(
            product,
            queue,
            journal=self._journals[evidence.SUBMITS],
            readers=self.readers,
            rate=size.rate,
        )
        self._people = People(product)
        self._stopped = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="samples", daemon=True)

    # ---- the course of a run ------------------------------------------------------------------

    def begin(self, *, kinds: Mapping[str, int] = ORDINARY) -> None:
        """Starts agents, waits until they are connected, then starts the load."""
        for agent in self.agents:
            agent.start()
        self.wait(lambda: len(self.online()) == len(self.agents), "the agents are connected")
        self._watching.start()
        wanted = wishes(self.random, self.queue, count=self.size.submits, kinds=kinds)
        wanted += self.extra
        self.random.shuffle(wanted)
        self.load.start(wanted)
        self._people.start()

    def settle(self) -> None:
        """Waits for the end of the load and of every task; what does not end, the checker names."""
        self.load.wait()
        with suppress(AssertionError):
            self.wait(self.is_over, "every task is over", seconds=END_SECONDS)
        self.over_at = time.time()
        with suppress(AssertionError):
            self.wait(self.readers.all_done, "readers were shown the end", seconds=15)

    def finish(self) -> Evidence:
        """Stops what the run has started and reads what it left behind."""
        self.load.stop()
        self._people.stop()
        self.readers.stop()
        self._stopped.set()
        if self._watching.is_alive():
            self._watching.join(20)
        for agent in self.agents:
            agent.end()
        try:
            found = evidence.collect(self.directory, self.database_url, self.queue, self.broken)
            return replace(found, fleet=self.size.fleet)
        finally:
            for journal in self._journals.values():
                journal.close()

    # ---- what faults use ----------------------------------------------------------------------

    def wait(
        self, condition: Callable[[], object], what: str, *, seconds: float = ONLINE_SECONDS
    ) -> None:
        wait_until(condition, seconds=seconds, what=what)

    def wait_for_load(self, low: float, high: float) -> None:
        """Until a share of the load between the two, chosen by the seed, is acknowledged."""
        share = low + (high - low) * self.random.random()
        wanted = int(self.size.submits * share)
        self.wait(
            lambda: self.load.acknowledged >= wanted or self.load.is_over,
            f"{wanted} submits are acknowledged",
        )
        self.pause(0.3 * self.random.random())
        self.injected_at = self.injected_at or time.time()

    def pause(self, seconds: float) -> None:
        """How long a fault lasts; nothing can be waited for instead."""
        self._stopped.wait(seconds)

    def crash_at(self, point: str, *, seconds: float = ONLINE_SECONDS) -> bool:
        """Has the next process killed that comes to a named point; False: the load ended before."""
        armed = self.product.data_dir.parent / CRASH_POINTS / point
        armed.touch()

        def is_decided() -> bool:
            return not armed.exists() or (self.load.is_over and self.is_over())

        try:
            self.wait(is_decided, f"somebody comes to {point}", seconds=seconds)
            return not armed.exists()
        finally:
            armed.unlink(missing_ok=True)

    def pids(self) -> dict[str, int]:
        return {name: int(item["pid"]) for name, item in self.product.programs().items()}

    def wait_all_ready(self, before: Mapping[str, int]) -> None:
        """Until something has been started again since `before`, and everything is ready."""

        def is_whole() -> bool:
            now = self.product.programs()
            is_ready = all(item["state"] == "ready" for item in now.values())
            return is_ready and self.pids() != before

        self.wait(is_whole, "everything is ready again", seconds=60)

    def some_agent(self) -> AgentProcess:
        return self.random.choice(self.agents)

    @contextmanager
    def api_may_fail(self, *, after: float = 1.0) -> Generator[None]:
        """While the block runs, and `after` seconds longer, requests are aimed at the broken."""
        began = time.time()
        try:
            yield
        finally:
            self.broken.append(Window(began=began, ended=time.time() + after))

    def online(self) -> list[str]:
        """Names of the run's agents that the server counts as connected."""
        names = {agent.name for agent in self.agents}
        try:
            with self.product.client() as client:
                answer = client.get("/api/agents", params={"capability": self.queue})
            items = answer.raise_for_status().json()["items"]
        except Exception:  # noqa: BLE001 - whatever is broken just now
            return []
        return [
            item["name"]
            for item in items
            if item["name"] in names and item["status"] in ("online", "busy")
        ]

    # ---- the eyes -----------------------------------------------------------------------------

    def is_over(self) -> bool:
        try:
            counts = evidence.counts(self.database_url, self.queue)
            kin = evidence.kin_counts(self.database_url, self.queue)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        is_complete = sum(counts.values()) >= self.load.acknowledged
        return is_complete and {*counts, *kin} <= TERMINAL

    def _watch(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            try:
                self._sample()
            except (OSError, asyncpg.PostgresError, TimeoutError, asyncpg.InterfaceError):
                continue  # the database is what is broken; there is no sample of such a moment

    def _sample(self) -> None:
        now, acknowledged = time.time(), self.load.acknowledged
        by_state = evidence.counts(self.database_url, self.queue)
        self._journals[evidence.SAMPLES].write(
            Sample(
                at=now,
                acknowledged=acknowledged,
                begun=self.load.begun,
                total=sum(by_state.values()),
                by_state=by_state,
            )
        )
        for name, program in self.product.programs().items():
            try:
                resident = resident_bytes(int(program["pid"]))
            except (OSError, LookupError):
                continue
            line = Memory(at=now, name=name, pid=int(program["pid"]), resident=resident)
            self._journals[evidence.MEMORY].write(line)


def _database_url(product: Product) -> str:
    record = json.loads((product.data_dir / "runtime.json").read_text())
    return str(record["settings"]["database_url"])

"""The load of a run: an open loop of submits, each tried again under its key until acknowledged.

Written down before the request and after the answer, so that what the product has acknowledged is
known whatever dies. Cancels follow some of the submits; readers follow others.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
import msgspec
from e2e.product import Product

from chaos.journal import Journal, Try
from chaos.readers import Readers

THREADS = 16
REQUEST_SECONDS = 15.0
RETRY_SECONDS = 0.2
# One submission is given up after so long without an acknowledgement: the run then fails.
PATIENCE_SECONDS = 90.0
LAST_SECONDS = 60.0  # the load's own length, and a request that is still under way at the end
ORDINARY: Mapping[str, int] = {
    "quick": 10,
    "slow": 4,
    "flaky": 2,
    "step": 3,
    "waits": 2,
    "fails": 1,
    "cancelled": 1,
    "parent": 2,
    "tree": 1,
    "approved": 1,
}
FOLLOWED = frozenset({"slow", "waits"})
# Seconds from the acknowledgement to the cancel; a tree has grown by then, if nothing is broken.
CANCELLED: Mapping[str, float] = {"cancelled": 0.0, "tree": 1.0}
PRIORITIES = ("low", "normal", "high", "critical")
MAX_ATTEMPTS = 20  # no fault of ours shall use them up: failing is then a violation


@dataclass(frozen=True, slots=True)
class Wish:
    """What one submission asks for."""

    number: int
    kind: str
    priority: str
    key: str
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])  # fields of the request
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])


def wishes(random: Random, queue: str, *, count: int, kinds: Mapping[str, int]) -> list[Wish]:
    """The same for the same seed."""
    drawn = random.choices(list(kinds), weights=list(kinds.values()), k=count)
    return [
        Wish(number, kind, random.choice(PRIORITIES), f"{queue}-{number}")
        for number, kind in enumerate(drawn)
    ]


class Load:
    """Submits `wishes` at a steady rate, whatever the answers."""

    def __init__(
        self, product: Product, queue: str, *, journal: Journal, readers: Readers, rate: float
    ) -> None:
        self._product, self._queue, self._rate = product, queue, rate
        self._journal, self._readers = journal, readers
        self._lock = threading.Lock()
        self.acknowledged = 0
        self.begun = 0
        self.given_up = 0
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def start(self, wanted: Sequence[Wish]) -> None:
        self._thread = threading.Thread(target=self._run, args=(wanted,), name="load", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Returns when every submission is acknowledged or given up."""
        if self._thread is not None:
            self._thread.join(PATIENCE_SECONDS + LAST_SECONDS)

    @property
    def is_over(self) -> bool:
        return self._thread is not None and not self._thread.is_alive()

    def stop(self) -> None:
        self._stopped.set()
        self.wait()

    def _run(self, wanted: Sequence[Wish]) -> None:
        began = time.monotonic()
        limits = httpx.Limits(max_connections=THREADS, max_keepalive_connections=THREADS)
        headers = {"authorization": f"Bearer {self._product.key}"}
        with (
            httpx.Client(
                base_url=self._product.url,
                headers=headers,
                timeout=REQUEST_SECONDS,
                limits=limits,
                trust_env=False,
            ) as client,
            ThreadPoolExecutor(THREADS, thread_name_prefix="submit") as pool,
        ):
            for place, wish in enumerate(wanted):
                if self._stopped.wait(max(0.0, began + place / self._rate - time.monotonic())):
                    return
                pool.submit(self._submit, client, wish)

    def _submit(self, client: httpx.Client, wish: Wish) -> None:
        with self._lock:
            self.begun += 1
        limit = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < limit and not self._stopped.is_set():
            done = self._try(client, wish)
            if done.task_id:
                with self._lock:
                    self.acknowledged += 1
                self._follow_up(client, wish, done.task_id)
                return
            self._stopped.wait(RETRY_SECONDS)
        with self._lock:
            self.given_up += 1

    def _try(self, client: httpx.Client, wish: Wish) -> Try:
        begun = Try(
            submission=wish.number, key=wish.key, kind=wish.kind, began=time.time(), is_begun=True
        )
        self._journal.write(begun)
        status, task_id, has_retry_after = 0, "", False
        try:
            answer = client.post(
                "/api/tasks", json=self._body(wish), headers={"idempotency-key": wish.key}
            )
            status, has_retry_after = answer.status_code, "retry-after" in answer.headers
            task_id = answer.json()["id"] if answer.is_success else ""
        except httpx.TransportError:
            pass
        done = msgspec.structs.replace(
            begun,
            is_begun=False,
            ended=time.time(),
            status=status,
            task_id=task_id,
            has_retry_after=has_retry_after,
        )
        self._journal.write(done)
        return done

    def _body(self, wish: Wish) -> dict[str, Any]:
        return {
            "capability": self._queue,
            "priority": wish.priority,
            "max_attempts": MAX_ATTEMPTS,
            "input": {"submission": wish.number, "kind": wish.kind, **wish.input},
            **wish.more,
        }

    def _follow_up(self, client: httpx.Client, wish: Wish, task_id: str) -> None:
        if wish.kind in FOLLOWED:
            self._readers.follow(task_id)
        if wish.kind not in CANCELLED:
            return
        self._stopped.wait(CANCELLED[wish.kind])
        limit = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < limit and not self._stopped.is_set():
            try:
                if client.post(f"/api/tasks/{task_id}/cancel", json={}).is_success:
                    return
            except httpx.TransportError:
                pass
            self._stopped.wait(RETRY_SECONDS)

"""Readers of task feeds like the browser's, who write down every event they were shown."""

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from e2e.feeds import parse
from e2e.product import Product

from chaos.checker import TERMINAL
from chaos.journal import Journal, Seen

PAUSE_SECONDS = 0.2
# Longer than the feed's own heartbeat, so that only a dead connection is silent for so long.
SILENCE_SECONDS = 20.0


@dataclass(slots=True)
class Reader:
    """Follows one task to its end, over as many connections as it takes."""

    number: int
    product: Product
    task_id: str
    journal: Journal
    cursor: str = ""
    connection: int = 0
    is_done: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        while not self.is_done and not self.stopped.is_set():
            self.connection += 1
            with suppress(httpx.TransportError, OSError):  # or the disk with our key is away
                self._read_once()
            self.stopped.wait(PAUSE_SECONDS)

    def _read_once(self) -> None:
        headers = {"last-event-id": self.cursor} if self.cursor else {}
        patience = httpx.Timeout(SILENCE_SECONDS, connect=3)
        path = f"/api/tasks/{self.task_id}/events"
        with (
            self.product.client() as client,
            client.stream("GET", path, headers=headers, timeout=patience) as answer,
        ):
            if not answer.is_success:
                return
            for event in parse(answer.iter_lines()):
                self._take(event)
                if self.is_done or self.stopped.is_set():
                    return

    def _take(self, event: dict[str, Any]) -> None:
        if not (event["event"].startswith("task.") or event["event"] == "gap"):
            return  # a notice of the feed itself
        content: dict[str, Any] = event["data"]
        seen = Seen(
            reader=self.number,
            task_id=self.task_id,
            event=event["event"],
            cursor=event["id"] or "",
            text=str(content.get("text", ""))[:200],
            state=str(content.get("state", "")),
            connection=self.connection,
        )
        self.journal.write(seen)
        self.cursor = seen.cursor or self.cursor
        is_end = seen.event in ("task.finished", "task.snapshot")
        self.is_done = is_end and seen.state in TERMINAL


class Readers:
    """A few readers at once, each in a thread of its own."""

    def __init__(self, product: Product, journal: Journal, *, most: int) -> None:
        self._product, self._journal, self._most = product, journal, most
        self._readers: list[tuple[Reader, threading.Thread]] = []
        self._lock = threading.Lock()

    def follow(self, task_id: str) -> None:
        """Begins to follow a task, unless enough are followed."""
        with self._lock:
            if len(self._readers) >= self._most:
                return
            reader = Reader(len(self._readers) + 1, self._product, task_id, self._journal)
            thread = threading.Thread(target=reader.read, name=f"reader {reader.number}")
            thread.daemon = True
            self._readers.append((reader, thread))
        thread.start()

    def all_done(self) -> bool:
        return all(reader.is_done for reader, _ in self._readers)

    def stop(self) -> None:
        for reader, _ in self._readers:
            reader.stopped.set()
        for _, thread in self._readers:
            thread.join(SILENCE_SECONDS + 5)

"""A reader of a task's feed like the browser's: it resumes after the last event it saw."""

import json
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from e2e.product import Product

FINAL = frozenset({"succeeded", "failed", "cancelled"})
PAUSE_SECONDS = 0.2


@dataclass(slots=True)
class Reader:
    """What one reader of a task's feed has seen, attempt by attempt."""

    product: Product
    task_id: str
    text: str = ""
    epoch: int = 0
    cursor: str | None = None
    cursors: list[str] = field(default_factory=list[str])
    finished: dict[str, Any] | None = None
    connections: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        """Until the task is finished, over as many connections as it takes."""
        while self.finished is None and not self._stopped.is_set():
            try:
                self.connections += 1
                self._read_once()
            except httpx.TransportError:
                pass
            self._stopped.wait(PAUSE_SECONDS)

    def stop(self) -> None:
        self._stopped.set()

    def _read_once(self) -> None:
        headers = {"last-event-id": self.cursor} if self.cursor else {}
        path = f"/api/tasks/{self.task_id}/events"
        with (
            self.product.client() as client,
            client.stream(
                "GET", path, headers=headers, timeout=httpx.Timeout(20, connect=3)
            ) as answer,
        ):
            if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                return
            assert answer.status_code == httpx.codes.OK, answer.read()
            for event in parse(answer.iter_lines()):
                self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        if event["id"]:
            self.cursor = event["id"]
            self.cursors.append(event["id"])
        content = event["data"]
        match event["event"]:
            case "task.status" if content["state"] == "running" and content["epoch"] > self.epoch:
                self.epoch, self.text = content["epoch"], ""
            case "task.token":
                self.text += content["text"]
            case "task.snapshot":
                self.epoch, self.text = content["epoch"], content["text"]
                if content["state"] in FINAL:
                    self.finished = content
            case "task.finished":
                self.finished = content
            case _:
                pass

    def duplicates(self) -> list[str]:
        """Cursors that came twice."""
        return [item for item in set(self.cursors) if self.cursors.count(item) > 1]


def parse(lines: Iterator[str]) -> Generator[dict[str, Any]]:
    """The events of a stream of server-sent events."""
    event: dict[str, Any] = {"event": "message", "id": None}
    for line in lines:
        name, _, value = line.partition(":")
        if not line:
            if "data" in event:
                yield event
            event = {"event": "message", "id": None}
        elif name == "data":
            event["data"] = json.loads(value)
        elif name in ("event", "id"):
            event[name] = value.strip()


@contextmanager
def reading(*readers: Reader) -> Generator[None]:
    """The readers at work in threads of their own for as long as the block runs."""
    threads = [threading.Thread(target=reader.read, daemon=True) for reader in readers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for reader in readers:
            reader.stop()
        for thread in threads:
            thread.join(30)

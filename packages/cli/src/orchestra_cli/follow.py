"""Follows one task to its end, whatever happens to the connection or to the agent on the way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestra_cli import output, sse
from orchestra_cli.client import Client
from orchestra_cli.errors import UnavailableError

FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(slots=True)
class Finished:
    """How a task ended."""

    state: str
    result: Any
    error: dict[str, Any] | None
    usage: dict[str, Any] | None


@dataclass(slots=True)
class Text:
    """The text that a task has produced so far, and how it reaches the terminal.

    Another attempt starts from nothing. What is on the screen stays: while the new text repeats
    it nothing is printed, and only when it differs is it printed anew under a mark.
    """

    print: Callable[[str], None]
    current: str = ""
    shown: str = ""

    def restart(self) -> None:
        self.current = ""

    def append(self, text: str) -> None:
        self.replace(self.current + text)

    def replace(self, text: str) -> None:
        self.current = text
        if text.startswith(self.shown):
            self.print(text[len(self.shown) :])
        elif self.shown.startswith(text):
            return
        else:
            self.print(f"\n[started again]\n{text}")
        self.shown = text


@dataclass(slots=True)
class Follower:
    """Reads a task's feed; `on_event` sees what is not text: states, progress and log lines."""

    client: Client
    text: Text
    on_event: Callable[[str, dict[str, Any]], None]
    epoch: int = 0
    cursor: str | None = field(default=None)

    def run(self, task_id: str) -> Finished:
        """Raises UnavailableError when the instance stays away, MissingError for a foreign task."""
        for event in self.client.follow(f"/api/tasks/{task_id}/events", cursor=self.cursor):
            self.cursor = event.id or self.cursor
            finished = self._take(event)
            if finished is not None:
                return finished
        raise UnavailableError("The feed ended before the task did.")

    def _take(self, event: sse.Event) -> Finished | None:
        content: Any = event.data
        match event.type:
            case "task.token":
                self.text.append(str(content["text"]))
            case "task.status":
                self._status(content)
            case "task.snapshot":
                return self._snapshot(content)
            case "task.finished":
                return _finished(content)
            case "task.progress" | "task.log" | "task.cancelling" | "task.waiting":
                self.on_event(event.type, content)
            case _:
                pass
        return None

    def _status(self, content: dict[str, Any]) -> None:
        epoch = int(content.get("epoch") or 0)
        if content.get("state") == "running" and epoch > self.epoch:
            self.epoch = epoch
            self.text.restart()
        self.on_event("task.status", content)

    def _snapshot(self, content: dict[str, Any]) -> Finished | None:
        self.epoch = int(content.get("epoch") or self.epoch)
        self.cursor = content.get("cursor") or self.cursor
        if text := content.get("text"):
            self.text.replace(str(text))
        if content.get("state") in FINAL_STATES:
            return _finished(content)
        return None


def _finished(content: dict[str, Any]) -> Finished:
    return Finished(
        state=str(content["state"]),
        result=content.get("result"),
        error=content.get("error"),
        usage=content.get("usage"),
    )


def describe(kind: str, content: dict[str, Any]) -> None:
    """Says on standard error what happens to a task, a line for each event."""
    if kind == "task.status":
        where = f" on {content['agent_name']}" if content.get("agent_name") else ""
        reason = f" ({content['reason']})" if content.get("reason") else ""
        output.note(f"{content['state']}{where}{reason}")
    elif kind == "task.progress":
        fraction = content.get("fraction")
        share = "" if fraction is None else f"{fraction:.0%} "
        output.note(f"{share}{content.get('message') or ''}".rstrip())
    elif kind == "task.log":
        output.note(f"[{content.get('level')}] {content.get('message')}")
    elif kind == "task.waiting":
        output.note(f"waiting: {content.get('message')}")
    elif kind == "task.cancelling":
        output.note("cancelling")

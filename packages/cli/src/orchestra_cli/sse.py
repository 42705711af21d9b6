"""Reads server-sent events (WHATWG HTML, section 9.2) from lines of text."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` is its decoded JSON, `id` where to resume after it (None: did not move)."""

    type: str
    data: Any
    id: str | None


def parse(lines: Iterable[str]) -> Iterator[Event]:
    """The complete events of a stream; one that the connection cut short is not among them."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in fields:
                yield _event(fields)
            fields = {}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data" and "data" in fields:
            value = f"{fields['data']}\n{value}"
        if name:
            fields[name] = value


def _event(fields: dict[str, str]) -> Event:
    try:
        content: Any = json.loads(fields["data"])
    except json.JSONDecodeError:
        content = fields["data"]
    return Event(fields.get("event", "message"), content, fields.get("id"))

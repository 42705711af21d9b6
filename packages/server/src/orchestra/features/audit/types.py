"""What one row of the audit log holds."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A change that somebody made; `at` is UTC, `details` plain JSON."""

    at: datetime
    actor_kind: str
    actor_id: str
    actor_name: str
    action: str
    target_kind: str
    target_id: str
    details: dict[str, Any]
    ip: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainedEntry:
    """An entry in its place in the chain."""

    id: int
    entry: Entry
    previous_hash: bytes
    hash: bytes

"""What the checker judges: the submit log, the effect ledger, the database, and what readers saw.

The database is read with SQL of our own, not by the product's code, which is what is judged.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from chaos import journal
from chaos.journal import Effect, Memory, Sample, Seen, Try

SUBMITS, EFFECTS, FEEDS = "submits.jsonl", "effects.jsonl", "feeds.jsonl"
SAMPLES, MEMORY = "samples.jsonl", "memory.jsonl"
CONNECT_SECONDS = 10.0
KIN = "-kin"  # the queue of the children of a queue's tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    id: str
    key: str | None
    state: str
    epoch: int
    attempt: int
    max_attempts: int
    result: dict[str, Any] | None
    error_code: str
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    task_id: str
    epoch: int
    attempt: int
    outcome: str | None
    is_ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From when to when requests may fail, since what they are aimed at was broken."""

    began: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that one run has left behind."""

    tries: list[Try] = field(default_factory=list[Try])
    effects: list[Effect] = field(default_factory=list[Effect])
    seen: list[Seen] = field(default_factory=list[Seen])
    samples: list[Sample] = field(default_factory=list[Sample])
    memory: list[Memory] = field(default_factory=list[Memory])
    tasks: list[TaskRow] = field(default_factory=list[TaskRow])
    attempts: list[AttemptRow] = field(default_factory=list[AttemptRow])
    broken: list[Window] = field(default_factory=list[Window])
    fleet: int = 0  # agents that came while the memory was watched


def collect(directory: Path, database_url: str, queue: str, broken: list[Window]) -> Evidence:
    """Reads the journals of `directory`, and the tasks of one queue from the database."""
    tasks, attempts = asyncio.run(_read_database(database_url, queue))
    return Evidence(
        tries=journal.read(directory / SUBMITS, Try),
        effects=journal.read(directory / EFFECTS, Effect),
        seen=journal.read(directory / FEEDS, Seen),
        samples=journal.read(directory / SAMPLES, Sample),
        memory=journal.read(directory / MEMORY, Memory),
        tasks=tasks,
        attempts=attempts,
        broken=broken,
    )


def counts(database_url: str, queue: str) -> dict[str, int]:
    """How many submitted tasks of a queue are in each state, by one statement."""
    return asyncio.run(_count(database_url, queue))


def kin_counts(database_url: str, queue: str) -> dict[str, int]:
    """The same of their children."""
    return asyncio.run(_count(database_url, f"{queue}{KIN}"))


async def _count(url: str, queue: str) -> dict[str, int]:
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS, command_timeout=10)
    try:
        rows = await connection.fetch(
            "SELECT state, count(*) AS number FROM tasks WHERE capability = $1 GROUP BY state",
            queue,
        )
    finally:
        await connection.close(timeout=5)
    return {row["state"]: row["number"] for row in rows}


async def _read_database(url: str, queue: str) -> tuple[list[TaskRow], list[AttemptRow]]:
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS, command_timeout=30)
    queues = [queue, f"{queue}{KIN}"]
    try:
        tasks = await connection.fetch(
            """
            SELECT id::text, idempotency_key, state, epoch, attempt, max_attempts, result::text,
                coalesce(error ->> 'code', '') AS error_code, parent_id::text AS parent
            FROM tasks WHERE capability = ANY($1)
            """,
            queues,
        )
        attempts = await connection.fetch(
            """
            SELECT task_id::text, task_attempts.epoch, task_attempts.attempt, outcome,
                ended_at IS NOT NULL AS is_ended
            FROM task_attempts JOIN tasks ON tasks.id = task_id
            WHERE capability = ANY($1) ORDER BY task_id, task_attempts.epoch
            """,
            queues,
        )
    finally:
        await connection.close(timeout=5)
    return [_task(row) for row in tasks], [AttemptRow(**dict(row)) for row in attempts]


def _task(row: Any) -> TaskRow:
    return TaskRow(
        id=row["id"],
        key=row["idempotency_key"],
        state=row["state"],
        epoch=row["epoch"],
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        result=msgspec.json.decode(row["result"] or "null", type=dict[str, Any] | None),
        error_code=row["error_code"],
        parent=row["parent"],
    )

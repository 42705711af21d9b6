"""SQL by which a control plane takes tasks for its agents, and finds queues in which some wait."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from orchestra.features.tasks.repository import turns
from orchestra.features.tasks.types import (
    TRANSITIONS,
    Priority,
    QueueName,
    TaskId,
    TaskState,
    Trigger,
)
from orchestra.foundation.database import Database, Row, Transaction


@dataclass(frozen=True, slots=True)
class Slot:
    """A free place on an agent."""

    agent_id: uuid.UUID
    agent_name: str


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A task with the lease that it has just got. Seconds count from the claim.

    A struct, since every task makes one: a frozen dataclass of this size costs ten times as much.
    """

    id: TaskId
    queue: QueueName
    capability: str
    priority: Priority
    user_id: uuid.UUID
    input: Any
    epoch: int
    attempt: int
    max_attempts: int
    agent_id: uuid.UUID
    agent_name: str
    affinity_key: str | None
    trace_parent: str | None
    parent_id: uuid.UUID | None
    run_timeout_seconds: float
    progress_timeout_seconds: float
    waited_seconds: float
    deadline: datetime | None = None  # of the whole task
    replay_of: uuid.UUID | None = None


CLAIM_COLUMNS = """
    id, queue, capability, priority, user_id, input, epoch, attempt, max_attempts, agent_id,
    agent_name, affinity_key, trace_parent, parent_id, run_timeout_seconds,
    progress_timeout_seconds, extract(epoch FROM now() - created_at)::float8 AS waited_seconds,
    deadline, replay_of"""
# What follows `placed` (id, agent_id, agent_name): the lease, its attempt, and the clocks of the
# queues, which go on to the last task taken; one that another moves just now is left to it.
TAKE = f"""claimed AS (
    UPDATE tasks SET
        state = '{TRANSITIONS[TaskState.QUEUED, Trigger.CLAIM]}', epoch = epoch + 1,
        attempt = attempt + 1, agent_id = placed.agent_id, started_at = now(),
        lease_expires_at = now() + make_interval(secs => {{lease}}), last_progress_at = now(),
        run_deadline = now() + make_interval(secs => run_timeout_seconds)
    FROM placed WHERE tasks.id = placed.id
    RETURNING tasks.*, placed.agent_name
), attempts AS (
    INSERT INTO task_attempts (task_id, epoch, attempt, agent_id, agent_name, started_at)
    SELECT id, epoch, attempt, agent_id, agent_name, started_at FROM claimed
), reached AS MATERIALIZED (
    SELECT queue, priority, max(fair_tag) AS tag FROM claimed GROUP BY queue, priority
), begun AS (
    INSERT INTO fair_clocks (queue, priority, virtual_time, moved_at)
    SELECT queue, priority, tag, now() FROM reached WHERE NOT EXISTS (
        SELECT FROM fair_clocks AS clock
        WHERE clock.queue = reached.queue AND clock.priority = reached.priority
    ) ORDER BY queue, priority ON CONFLICT DO NOTHING
), behind AS MATERIALIZED (
    SELECT clock.queue, clock.priority, tag FROM reached JOIN fair_clocks AS clock
        ON clock.queue = reached.queue AND clock.priority = reached.priority
    WHERE virtual_time < tag FOR UPDATE OF clock SKIP LOCKED
), moved AS (
    UPDATE fair_clocks AS clock
    SET virtual_time = greatest(virtual_time, tag), moved_at = now() FROM behind
    WHERE clock.queue = behind.queue AND clock.priority = behind.priority
)
SELECT {CLAIM_COLUMNS} FROM claimed ORDER BY priority DESC, fair_tag, id"""

# Claimed at once: enough to share a commit, few enough to be pushed at once.
MAX_CLAIM = 64
# The most urgent tasks of a queue, locked one by one as they are needed. The inner bound is for the
# planner: of a parameter it expects so many rows that it plans each claim anew, which doubles it.
HEADS = f"""
        SELECT * FROM (
            SELECT id, priority, user_id, fair_tag FROM tasks
            WHERE queue = wanted.queue AND state = '{TaskState.QUEUED}' AND run_after IS NULL
                AND blocked_on IS NULL {{of_owner}}
            ORDER BY priority DESC, fair_tag, id LIMIT {MAX_CLAIM} FOR UPDATE SKIP LOCKED
        ) AS few LIMIT {{count}}
    """
# By whether there are several queues: of each, some more are looked at, for it may be somebody's
# turn who is not the first in his.
COUNTS = ("$2", "$2::bigint + 8")
# Of each queue its most urgent tasks. Locks of others are skipped, so control planes never wait for
# each other; `state` is written out because the index is partial. None of a queue that is paused.
_OF_QUEUES = f"""
    FROM unnest($1::text[]) AS wanted (queue)
    CROSS JOIN LATERAL ({HEADS}) AS head
    LEFT JOIN fair_clocks AS clock
        ON clock.queue = wanted.queue AND clock.priority = head.priority
    WHERE NOT EXISTS (SELECT FROM queues WHERE name = wanted.queue AND paused_at IS NOT NULL)
"""
_BEHIND = "head.fair_tag - coalesce(clock.virtual_time, 0)"
# The most urgent of all: of a queue by its tags, of several by the users' turns, then from the one
# that is further behind its own clock, else in turns.
PICK_OF_ONE = f"""picked AS MATERIALIZED (
    SELECT head.id, row_number() OVER (
        ORDER BY head.priority DESC, {_BEHIND}, clock.moved_at NULLS FIRST, head.id
    ) AS place
    {_OF_QUEUES} {{unless}}
)"""
PICK_OF_SEVERAL = f"""heads AS MATERIALIZED (
    SELECT head.id, head.priority, head.user_id, {_BEHIND} AS behind, clock.moved_at
    {_OF_QUEUES} {{unless}}
), {turns.PICKED}"""
_PLACED = """placed AS MATERIALIZED (
    SELECT picked.id, slot.agent_id, slot.agent_name
    FROM picked JOIN unnest($3::uuid[], $4::text[]) WITH ORDINALITY
        AS slot (agent_id, agent_name, place) USING (place)
)"""
# A queue with limits is claimed from elsewhere (`limited.py`).
_UNLESS = """AND NOT EXISTS (
        SELECT FROM limits WHERE limits.queue IS NULL OR limits.queue = wanted.queue
    )"""
_OF_ONE = f"WITH {PICK_OF_ONE}, {_PLACED}, {TAKE}"
_OF_SEVERAL = f"WITH {PICK_OF_SEVERAL}, {_PLACED}, {turns.NOTED}, {TAKE}"


# By whether it is from several queues, and for one owner alone.
_CLAIMS = {
    (is_of_several, is_own): text.format(
        count=COUNTS[is_of_several],
        lease="$5",
        of_owner="AND user_id = $6" if is_own else "",
        unless=_UNLESS,
    )
    for is_of_several, text in ((False, _OF_ONE), (True, _OF_SEVERAL))
    for is_own in (False, True)
}
CLAIM_ALL = _CLAIMS[False, False]


async def claim(
    database: Database,
    queues: Sequence[QueueName],
    *,
    slots: Sequence[Slot],
    owner: uuid.UUID | None,
    lease_seconds: float,
) -> list[Claim]:
    """Takes as many waiting tasks as there are slots (at most `MAX_CLAIM`), the most urgent first.

    With `owner` only that person's: an agent that is not shared works for its owner alone. One
    statement is its own transaction, for this is the way that every task waits for.
    """
    rows = await database.fetch(
        _CLAIMS[len(queues) > 1, owner is not None],
        list(queues),
        len(slots),
        [slot.agent_id for slot in slots],
        [slot.agent_name for slot in slots],
        lease_seconds,
        *([] if owner is None else [owner]),
    )
    return [to_claim(row) for row in rows]


async def move(
    database: Database, moves: Sequence[tuple[TaskId, int, Slot]], claims: Sequence[Claim]
) -> list[Claim]:
    """Gives tasks that were just claimed to other agents here, under the same leases."""
    ids, epochs = [task for task, _, _ in moves], [epoch for _, epoch, _ in moves]
    agents, names = [slot.agent_id for *_, slot in moves], [slot.agent_name for *_, slot in moves]
    await database.fetch(
        """
        WITH given AS (
            SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[])
                AS given (id, epoch, agent_id, agent_name)
        ), moved AS (
            UPDATE tasks SET agent_id = given.agent_id FROM given
            WHERE tasks.id = given.id AND tasks.epoch = given.epoch
        )
        UPDATE task_attempts SET agent_id = given.agent_id, agent_name = given.agent_name
        FROM given WHERE task_id = given.id AND task_attempts.epoch = given.epoch
        """,
        ids,
        epochs,
        agents,
        names,
    )
    places = {task: slot for task, _, slot in moves}
    return [_placed(claim, places.get(claim.id)) for claim in claims]


# Jumps along the index from one queue and priority to the next, and never reads all that waits.
_WAITING = """
WITH RECURSIVE found AS (
    (SELECT queue, priority FROM tasks
     WHERE state = 'queued' AND run_after IS NULL AND blocked_on IS NULL
     ORDER BY queue, priority DESC LIMIT 1)
    UNION ALL
    SELECT next.queue, next.priority FROM found CROSS JOIN LATERAL (
        SELECT queue, priority FROM tasks
        WHERE state = 'queued' AND run_after IS NULL AND blocked_on IS NULL
            AND queue >= found.queue
            AND (queue > found.queue OR priority < found.priority)
        ORDER BY queue, priority DESC LIMIT 1
    ) AS next
)
"""
_SITUATION = f"""
{_WAITING}
(SELECT 'waits' AS what, queue AS name, '' AS balancing FROM found LIMIT 100000)
UNION SELECT 'is limited', queue, '' FROM limits
UNION SELECT 'goes by', name, balancing FROM queues WHERE balancing IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a control plane has to know of all queues, now and then."""

    waiting: frozenset[QueueName]
    limited: frozenset[QueueName | None]  # None: a limit holds for all queues
    balancing: dict[QueueName, str]


async def situation(database: Database) -> Situation:
    """In which queues tasks wait, which have limits, and by what they choose among agents.

    One statement, for every control plane asks once a second.
    """
    rows = await database.fetch(_SITUATION)
    return Situation(
        waiting=frozenset(row["name"] for row in rows if row["what"] == "waits"),
        limited=frozenset(row["name"] for row in rows if row["what"] == "is limited"),
        balancing={row["name"]: row["balancing"] for row in rows if row["what"] == "goes by"},
    )


async def waiting_queues(tx: Transaction) -> list[tuple[QueueName, Priority]]:
    """Every queue and priority in which a task waits."""
    rows = await tx.fetch(f"{_WAITING} SELECT queue, priority FROM found LIMIT 100000")
    return [(QueueName(row["queue"]), Priority(row["priority"])) for row in rows]


def _placed(claim: Claim, slot: Slot | None) -> Claim:
    if slot is None:
        return claim
    return msgspec.structs.replace(claim, agent_id=slot.agent_id, agent_name=slot.agent_name)


def to_claim(row: Row) -> Claim:
    values = dict(row)
    values["priority"] = Priority(values["priority"])
    return Claim(**values)

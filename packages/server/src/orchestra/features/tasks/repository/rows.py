"""Between rows and values: the columns of a task, and JSON that is encoded already."""

from typing import Any

import msgspec

from orchestra.features.tasks.types import (
    Attempt,
    Priority,
    QueueName,
    RetryPolicy,
    Task,
    TaskId,
    TaskProblem,
    TaskState,
)
from orchestra.foundation.database import Row

# The agent's name as the last attempt knew it: the agent may have been forgotten since.
AGENT_NAME = """
    coalesce((
        SELECT agent_name FROM task_attempts WHERE task_id = tasks.id ORDER BY epoch DESC LIMIT 1
    ), '') AS agent_name"""
BRIEF = f"""
    id, queue, capability, agent_id, {AGENT_NAME}, state, priority, attempt, max_attempts, epoch,
    error, usage, user_id, affinity_key, created_at, started_at, finished_at,
    run_after, deadline, retry, replay_of, replayed_as, parent_id"""
FULL = f"{BRIEF}, input, result"


def to_task(row: Row, *, is_repeated: bool = False) -> Task:
    """A task from a row of `BRIEF` or `FULL`."""
    return Task(
        id=TaskId(row["id"]),
        queue=QueueName(row["queue"]),
        capability=row["capability"],
        agent_id=row["agent_id"],
        agent_name=row["agent_name"],
        state=TaskState(row["state"]),
        priority=Priority(row["priority"]),
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        epoch=row["epoch"],
        input=row.get("input"),
        result=row.get("result"),
        error=to_problem(row["error"]),
        usage=row["usage"],
        user_id=row["user_id"],
        affinity_key=row["affinity_key"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        run_after=row["run_after"],
        deadline=row["deadline"],
        retry=to_retry(row["retry"]),
        replay_of=row["replay_of"],
        parent_id=row["parent_id"],
        replayed_as=row["replayed_as"],
        is_repeated=is_repeated,
    )


def to_attempt(row: Row) -> Attempt:
    return Attempt(
        attempt=row["attempt"],
        epoch=row["epoch"],
        agent_id=row["agent_id"],
        agent_name=row["agent_name"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        outcome=row["outcome"],
        error=to_problem(row["error"]),
    )


def to_problem(value: dict[str, Any] | None) -> TaskProblem | None:
    return None if value is None else TaskProblem(value["code"], value["message"])


def to_retry(value: dict[str, Any] | None) -> RetryPolicy | None:
    return None if value is None else msgspec.convert(value, RetryPolicy)


def encoded(json: bytes | None) -> msgspec.Raw | None:
    """JSON text as a parameter of type jsonb, which is not encoded a second time."""
    return None if json is None else msgspec.Raw(json)

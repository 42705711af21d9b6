"""What a supervisor sees, and what it decides."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict, cast

from orchestra_sdk._errors import TaskError

_QUOTED = 200


class Assigned(TypedDict):
    """Work for one capability."""

    worker: str
    input: Any


class Done(Assigned):
    """Work that has come back; `failed` says why, or is empty."""

    result: Any
    failed: str


class Situation(TypedDict):
    """All that a supervisor decides by. With 0 `rounds_left` it can only answer."""

    goal: Any
    workers: list[str]
    done: list[Done]
    rounds_left: int


class Decision(TypedDict):
    """An answer, or work for sub-agents that is done side by side."""

    answer: NotRequired[Any]
    assign: NotRequired[list[Assigned]]


def decision_of(said: object) -> Decision:
    """Read what was decided, for models say anything; raises `TaskError` for what is none."""
    fields = _fields(said)
    if fields is None or not isinstance(fields.get("assign", []), list):
        quoted = repr(said)[:_QUOTED]
        raise TaskError(f"neither an answer nor work for others: {quoted}", code="bad_decision")
    return cast("Decision", fields)


def work_of(decision: Decision, workers: Sequence[str]) -> list[Assigned]:
    """Return the work that somebody can do."""
    given = [_fields(item) or {} for item in cast("list[Any]", decision.get("assign", []))]
    whole = [item for item in given if "input" in item and item.get("worker") in workers]
    return cast("list[Assigned]", whole)


def _fields(said: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", said) if isinstance(said, dict) else None

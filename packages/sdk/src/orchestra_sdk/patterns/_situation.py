"""What a supervisor sees, and what it decides."""

from typing import Any, NotRequired, TypedDict


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

"""A child task as its parent sees it, before and after it was submitted."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypedDict

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _values
from orchestra_sdk._errors import TaskError

_MOST_AT_ONCE = 1000  # of one command

_PRIORITIES = {
    "low": pb.TASK_PRIORITY_LOW,
    "normal": pb.TASK_PRIORITY_NORMAL,
    "high": pb.TASK_PRIORITY_HIGH,
    "critical": pb.TASK_PRIORITY_CRITICAL,
}


class ChildOptions(TypedDict, total=False):
    """How a child task is run; what is absent is as for any task, the priority as the parent's.

    `detached` children go on when their parent has ended or was cancelled.
    """

    agent_id: str
    priority: Literal["low", "normal", "high", "critical"]
    max_attempts: int
    queue_timeout_seconds: float
    run_timeout_seconds: float
    progress_timeout_seconds: float
    affinity_key: str
    delay_seconds: float
    detached: bool


class Child:
    """A child task: `ctx.spawn` and `ctx.gather` submit it, `ctx.gather` waits for it.

    `name` is unique in its parent; `task_id` is empty until it was submitted.
    """

    def __init__(self, wire: pb.Child) -> None:
        self.name = wire.name
        self._described = wire
        self.task_id = ""

    @property
    def wire(self) -> pb.Child:
        """The child as the server is told of it."""
        return self._described

    def __repr__(self) -> str:
        return f"Child({self.name!r}, task_id={self.task_id!r})"


def describe(name: str, capability: str, input: Any, options: ChildOptions) -> pb.Child:
    """Return the child as the server is told of it; raises for what no server would take."""
    given: dict[str, Any] = dict(options)
    if (word := given.pop("priority", None)) is not None:
        if word not in _PRIORITIES:
            raise ValueError(f"priority must be one of {', '.join(_PRIORITIES)}, not {word!r}")
        given["priority"] = _PRIORITIES[word]
    try:
        value = _values.to_value(input, f"the input of {name!r}")
    except _values.Unserialisable as error:
        raise TaskError(str(error), code="invalid_output") from error
    try:
        return pb.Child(name=name, capability=capability, input=value, **given)
    except ValueError as error:
        raise TypeError(f"an option of {name!r} is not known: {error}") from error


def batches(children: Sequence[pb.Child], most_bytes: int) -> Iterator[list[pb.Child]]:
    """Yield the children in groups that fit into a message."""
    batch: list[pb.Child] = []
    size = 0
    for child in children:
        more = child.ByteSize() + 8
        if more > most_bytes:
            message = f"the input of {child.name!r} has {more} bytes, {most_bytes} are possible"
            raise TaskError(message, code="output_too_large")
        if batch and (size + more > most_bytes or len(batch) == _MOST_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(child)
        size += more
    if batch:
        yield batch

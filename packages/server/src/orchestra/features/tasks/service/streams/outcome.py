"""From an agent's last event to what ends its run."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import msgspec
from google.protobuf.struct_pb2 import Value
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.tasks.service import sizes
from orchestra.features.tasks.service.ends.ending import Ending
from orchestra.features.tasks.service.streams.run import Run
from orchestra.features.tasks.service.values import TooDeep, from_value
from orchestra.features.tasks.types import TaskProblem, Trigger
from orchestra.foundation.auth import SYSTEM, Actor
from orchestra.foundation.settings import Settings

MAX_MESSAGE = 4_000
MAX_CODE = 100


def to_ending(run: Run, final: pb.AgentEvent, *, by: Actor | None, settings: Settings) -> Ending:
    """What the event means; a result that cannot be kept is a failure for good."""
    base = Ending(
        task_id=run.task_id,
        epoch=run.epoch,
        trigger=Trigger.FAIL,
        by=by or SYSTEM,
        agent_id=run.agent_id,
        sequence=final.sequence,
        text=run.text,
        before=tuple(run.next_window()[1]),
        claimed=run.claimed,
    )
    kind = final.WhichOneof("event")
    if kind == "result":
        return _result(base, final.result.output, settings)
    if kind == "cancelled":
        reason = final.cancelled.reason[:MAX_MESSAGE] or "The agent has stopped."
        problem = TaskProblem("stopped_by_agent", reason)
        return replace(base, trigger=Trigger.STOPPED, reason=reason, problem=problem)
    return _failure(base, final.failure)


def not_kept(ending: Ending) -> Ending:
    """Instead of an end that the database refuses: a failure that it takes."""
    problem = TaskProblem("result_not_kept", "The database cannot store what the agent has said.")
    return replace(
        ending, trigger=Trigger.FAIL, result_json=None, usage=None, text=None, problem=problem
    )


def _failure(base: Ending, failure: pb.Failure) -> Ending:
    problem = TaskProblem(
        failure.code[:MAX_CODE] or "failed",
        failure.message[:MAX_MESSAGE] or "The agent failed without saying why.",
    )
    return replace(
        base, trigger=Trigger.RETRY if failure.retryable else Trigger.FAIL, problem=problem
    )


def _result(base: Ending, output: Value, settings: Settings) -> Ending:
    try:
        result = from_value(output)
    except TooDeep:
        problem = TaskProblem("invalid_result", "The result is nested too deeply.")
        return replace(base, problem=problem)
    encoded = msgspec.json.encode(result)
    if said := sizes.too_large_result(result, len(encoded), settings):
        return replace(base, problem=TaskProblem("result_too_large", f"The result {said}"))
    return replace(base, trigger=Trigger.RESULT, result_json=encoded, usage=_usage(result))


def _usage(result: Any) -> dict[str, Any] | None:
    """What the run says that it has used of models: numbers only."""
    said = cast("Mapping[str, Any]", result).get("usage") if isinstance(result, dict) else None
    if not isinstance(said, dict):
        return None
    items = cast("Mapping[str, Any]", said).items()
    return {key: value for key, value in items if isinstance(value, int | float)} or None

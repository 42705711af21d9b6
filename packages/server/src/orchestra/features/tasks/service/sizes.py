"""What fits into a message to an agent, told of values that are at hand as JSON.

A value that is taken in and fits into no message would fail later, when nobody is there to be told.
"""

from typing import Any

from orchestra.features.tasks.service import values
from orchestra.foundation.settings import Settings

# What a message of the stream needs around its payload, and an assignment besides input and steps.
ENVELOPE_BYTES = 4 * 1024
# A list of digits is the worst: each has two bytes as JSON, and eleven on the stream.
MOST_GROWTH = 6
ADVICE = "Put what is large into a blob, and send its address."


def most_bytes(settings: Settings) -> int:
    """How much one value, or the input of a task with its steps, may have on the stream."""
    return settings.max_grpc_message_bytes - 2 * ENVELOPE_BYTES


def too_large_input(json: Any, json_bytes: int, settings: Settings) -> str | None:
    """Why an input of so many bytes as JSON is not taken in; None if it is."""
    return _too_large(json, json_bytes, settings.max_task_input_bytes, settings)


def too_large_result(json: Any, json_bytes: int, settings: Settings) -> str | None:
    """Why a result of a task, or of a step, is not kept: a parent or a later run could not be told.

    None if it is kept.
    """
    return _too_large(json, json_bytes, settings.max_task_result_bytes, settings)


def _too_large(json: Any, json_bytes: int, limit: int, settings: Settings) -> str | None:
    """Counted only where the size as JSON leaves a doubt: of most values that is enough to know."""
    if json_bytes > limit:
        return f"has {json_bytes} bytes as JSON; {limit} are allowed. {ADVICE}"
    most = most_bytes(settings)
    if json_bytes * MOST_GROWTH <= most or (size := values.size(json)) <= most:
        return None
    return f"has {size} bytes on the stream to an agent; {most} are possible there. {ADVICE}"

"""From hand to hand: whoever has the work does it, or says who should."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from orchestra_sdk._context import Context
from orchestra_sdk._errors import TaskError


@dataclass(frozen=True)
class HandOff:
    """Returned by an agent that passes the work on, to the capability `hand_off`."""

    hand_off: str
    input: Any = None


async def hand_off(
    ctx: Context, first: str, input: Any, *, among: Sequence[str], most: int = 8
) -> Any:
    """Return the first result that is no `HandOff`, beginning with the capability `first`.

    The work goes only to capabilities `among` those given, and at most `most` times from hand to
    hand: two agents that each think it is the other's are told so by `too_many_hand_offs`.
    """
    holder = first
    for _ in range(most + 1):
        result = await ctx.run(holder, input)
        passed = _passed_on(result)
        if passed is None:
            return result
        if passed.hand_off not in among:
            message = f"{holder} hands off to {passed.hand_off!r}, who is not of this group"
            raise TaskError(message, code="unknown_hand_off")
        holder, input = passed.hand_off, passed.input
    raise TaskError(f"handed off {most} times, {holder} is next", code="too_many_hand_offs")


def _passed_on(result: Any) -> HandOff | None:
    if not isinstance(result, dict):
        return None
    fields = cast("dict[str, Any]", result)
    return HandOff(**fields) if set(fields) == {"hand_off", "input"} else None

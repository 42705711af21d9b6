"""Who decides in a pattern: a capability of any agent, or a function beside the handler."""

from collections.abc import Callable
from typing import Any

from orchestra_sdk._context import Context

Decider = str | Callable[[Any], Any]


async def decided(ctx: Context, decider: Decider, situation: Any, *, name: str) -> Any:
    """Return what a capability, or as a step a function, returns for `situation`."""
    if isinstance(decider, str):
        return await ctx.run(decider, situation, name=name)
    return await ctx.step(name, lambda: decider(situation))

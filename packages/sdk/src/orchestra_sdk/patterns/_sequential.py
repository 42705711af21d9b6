"""One after the other: a pipeline."""

from collections.abc import Sequence
from typing import Any

from orchestra_sdk._context import Context


async def sequential(ctx: Context, capabilities: Sequence[str], input: Any) -> Any:
    """Return what the last capability returns; each gets what the one before it has returned."""
    for capability in capabilities:
        input = await ctx.run(capability, input)
    return input

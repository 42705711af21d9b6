"""Side by side: several look at the same thing, and one answer is made of theirs."""

from collections.abc import Sequence
from typing import Any

from orchestra_sdk._context import Context
from orchestra_sdk._errors import ChildFailed
from orchestra_sdk.patterns._deciding import Decider, decided


async def concurrent(
    ctx: Context,
    capabilities: Sequence[str],
    input: Any,
    *,
    aggregate: Decider,
    at_least: int | None = None,
    name: str = "aggregate",
) -> Any:
    """Return what `aggregate` makes of the list of results.

    Without `at_least`, one failure fails the whole; with it, so many results are enough.
    """
    calls = [ctx.call(capability, input) for capability in capabilities]
    found = await ctx.gather(*calls, return_exceptions=True)
    failures = [item for item in found if isinstance(item, ChildFailed)]
    results = [item for item in found if not isinstance(item, ChildFailed)]
    needed = len(calls) if at_least is None else at_least
    if failures and len(results) < needed:
        raise failures[0]
    return await decided(ctx, aggregate, results, name=name)

"""To the right one: a decision, then the specialist."""

from collections.abc import Mapping
from typing import Any

from orchestra_sdk._context import Context
from orchestra_sdk.patterns._deciding import Decider, decided


async def router(
    ctx: Context,
    input: Any,
    *,
    choose: Decider,
    routes: Mapping[str, str],
    otherwise: str,
    name: str = "route",
) -> Any:
    """Return what the capability of the chosen route returns for `input`.

    `choose` gets `input` and says a route's name, also in the middle of a sentence, as models do.
    Where it names none, `otherwise` does the work.
    """
    said = str(await decided(ctx, choose, input, name=name)).casefold()
    named = [route for route in routes if route.casefold() in said]
    first = min(named, key=lambda route: said.index(route.casefold()), default=None)
    return await ctx.run(routes[first] if first is not None else otherwise, input)

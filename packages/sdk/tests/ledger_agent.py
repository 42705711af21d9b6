"""An agent for the tests of durability: each effect is a line in a file, under its key."""

import os
import sys
from pathlib import Path

from orchestra_sdk import Agent, Context

agent = Agent("ledger", slots=2)
LEDGER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(os.devnull)


def effect(ctx: Context, name: str) -> str:
    """Do something that cannot be undone; the file is what an outside service would keep."""
    key = f"{ctx.idempotency_key}:{name}"
    done = LEDGER.read_text().splitlines() if LEDGER.exists() else []
    if key not in done:
        with LEDGER.open("a") as ledger:
            ledger.write(key + "\n")
    return key


@agent.task("order")
async def order(ctx: Context) -> list[str]:
    """Reserve, let three children pack, sleep, ship."""
    reserved = await ctx.step("reserve", lambda: effect(ctx, "reserve"))
    calls = [ctx.call("pack", box, max_attempts=100) for box in range(3)]
    packed = await ctx.gather(*calls)
    await ctx.sleep(0.01)
    said = await ctx.approve("Ship?", packed)
    shipped = await ctx.step("ship", lambda: effect(ctx, "ship"))
    return [reserved, *packed, shipped, said.by]


@agent.task("pack")
async def pack(ctx: Context, input: int) -> str:
    """Pack a box."""
    return await ctx.step("pack", lambda: effect(ctx, f"box {input}"))


if __name__ == "__main__":
    agent.run()

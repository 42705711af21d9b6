"""An agent for the tests of restarts: started as a process, killed as a process."""

import asyncio
import sys

from orchestra_sdk import Agent, Context

agent = Agent("restorable", restorable=True, state_dir=sys.argv[1] if len(sys.argv) > 1 else None)


@agent.task("wait")
async def wait(ctx: Context, input: float) -> str:
    await ctx.emit("waiting")
    if ctx.attempt == 1:
        await asyncio.sleep(input)
    return "waited"


if __name__ == "__main__":
    agent.run()

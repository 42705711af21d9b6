"""An agent for the tests of restarts: started as a process, killed as a process."""

import asyncio
import sys

from orchestra_sdk import Agent, Context

agent = Agent("restorable", restorable=True, state_dir=sys.argv[1] if len(sys.argv) > 1 else None)


@agent.task("work")
async def work(ctx: Context, input: str) -> str:
    for word in input.split():
        await ctx.emit(word + " ")
    return f"done by attempt {ctx.attempt}"


@agent.task("wait")
async def wait(ctx: Context) -> str:
    await ctx.emit("waiting")
    await asyncio.sleep(0.3)
    return "waited"


if __name__ == "__main__":
    agent.run()

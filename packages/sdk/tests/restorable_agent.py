"""An agent for the tests of restarts: started as a process, killed as a process."""

import sys
from pathlib import Path

from orchestra_sdk import Agent, Context
from orchestra_sdk.testing import until

agent = Agent("restorable", restorable=True, state_dir=sys.argv[1] if len(sys.argv) > 1 else None)


@agent.task("wait")
async def wait(ctx: Context, input: str) -> str:
    """Return when the file `input` exists."""
    await ctx.emit("waiting")
    await until(Path(input).exists, timeout=60)
    return "waited"


if __name__ == "__main__":
    agent.run()

"""Our agent of the fault comparison. Run as a program."""

import asyncio
from typing import Any

from orchestra_sdk import Agent, Context

from bench.peers import effects

CAPABILITY = "bench-faults"

agent = Agent("bench-faults", slots=8)


@agent.task(CAPABILITY)
async def work(_ctx: Context, input: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(effects.WORK_SECONDS)
    effects.note(input["number"])
    return {}


if __name__ == "__main__":
    agent.run()

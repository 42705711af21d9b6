"""An agent whose tasks take a while; only critical ones are noted, when their work is done."""

import asyncio
from typing import Any

from orchestra_sdk import Agent, Context

from bench.ledger import Writer

CAPABILITY = "overload"
SLOTS = 8
# Long enough that the slots are what there is too little of, and not the processor.
WORK_SECONDS = 0.2

agent = Agent("overload", slots=SLOTS)
_ledger = Writer()


@agent.task(CAPABILITY)
async def work(_ctx: Context, input: dict[str, Any]) -> None:
    await asyncio.sleep(WORK_SECONDS)
    if input["is_critical"]:
        _ledger.has(input["sent_ns"])


if __name__ == "__main__":
    agent.run()

"""Our worker: an agent on the public SDK whose one task notes that it is here. Run as a program."""

from typing import Any

from orchestra_sdk import Agent, Context

from bench.ledger import Writer

CAPABILITY = "bench"
SLOTS = 8

agent = Agent("bench", slots=SLOTS)
_ledger = Writer()


@agent.task(CAPABILITY)
async def note(_ctx: Context, input: dict[str, Any]) -> dict[str, Any]:
    _ledger.has(input["sent_ns"])
    return {}


if __name__ == "__main__":
    agent.run()

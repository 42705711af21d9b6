"""An agent that notes each attempt, and works for ever at the first: until it is killed."""

import asyncio
import os
import time
from typing import Any

from orchestra_sdk import Agent, Context

CAPABILITY = "recovery"
ENDLESS_SECONDS = 3_600.0

# Of one name there is one agent: a second would take the place of the first.
agent = Agent(f"recovery-{os.getpid()}", slots=int(os.environ.get("BENCH_SLOTS", "1")))


@agent.task(CAPABILITY)
async def work(ctx: Context, _input: Any) -> None:
    note = f"{ctx.task_id} {ctx.attempt} {os.getpid()} {time.monotonic_ns()}\n"
    with open(os.environ["BENCH_NOTES"], "ab", buffering=0) as notes:  # noqa: ASYNC230, PTH123 - an append of one line
        notes.write(note.encode())
    if ctx.attempt == 1:
        await asyncio.sleep(ENDLESS_SECONDS)


if __name__ == "__main__":
    agent.run()

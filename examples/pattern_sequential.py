"""One after the other: an outline, a draft, a polished text."""

from local_model import ask_model
from orchestra_sdk import Agent, Context
from orchestra_sdk.patterns import sequential

agent = Agent("pipeline", slots=2)


@agent.task("write_note")
async def write_note(ctx: Context, input: str) -> str:
    return await sequential(ctx, ["outline", "draft", "polish"], input)


@agent.task("outline")
async def outline(ctx: Context, input: str) -> str:
    return await ask_model(ctx, f"Name two points about {input}.") or input


@agent.task("draft")
async def draft(ctx: Context, input: str) -> str:
    return await ask_model(ctx, f"Write a sentence from these points: {input}") or input


@agent.task("polish")
async def polish(ctx: Context, input: str) -> str:
    return await ask_model(ctx, f"Make this sentence shorter: {input}") or input


if __name__ == "__main__":
    agent.run()

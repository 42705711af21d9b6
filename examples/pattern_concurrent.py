"""Side by side: two look at the same plan, a third makes one answer of theirs."""

from local_model import ask_model
from orchestra_sdk import Agent, Context
from orchestra_sdk.patterns import concurrent

agent = Agent("reviewers", slots=2)


@agent.task("review_plan")
async def review_plan(ctx: Context, input: str) -> str:
    return await concurrent(ctx, ["optimist", "pessimist"], input, aggregate="weigh", at_least=1)


@agent.task("optimist")
async def optimist(ctx: Context, input: str) -> str:
    return "Good: " + await ask_model(ctx, f"Say one good thing about this plan: {input}")


@agent.task("pessimist")
async def pessimist(ctx: Context, input: str) -> str:
    return "Bad: " + await ask_model(ctx, f"Say one bad thing about this plan: {input}")


@agent.task("weigh")
async def weigh(ctx: Context, input: list[str]) -> str:
    verdict = await ask_model(ctx, "Say in one sentence what to do: " + " ".join(input))
    return " ".join([*input, verdict])


if __name__ == "__main__":
    agent.run()

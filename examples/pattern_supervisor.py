"""One who decides, and sub-agents: scouts look at a town side by side, then a plan is made."""

from local_model import ask_model
from orchestra_sdk import Agent, Context
from orchestra_sdk.patterns import Decision, Situation, supervisor

agent = Agent("travel", slots=2)

SCOUTS = ["scout_food", "scout_sights"]


@agent.task("plan_day")
async def plan_day(ctx: Context, input: str) -> str:
    return await supervisor(ctx, input, decide="decide_day", workers=SCOUTS, rounds=1)


@agent.task("decide_day")
async def decide_day(ctx: Context, input: Situation) -> Decision:
    town = input["goal"]
    if not input["done"]:
        return {"assign": [{"worker": scout, "input": town} for scout in SCOUTS]}
    known = " ".join(item["result"] or item["failed"] for item in input["done"])
    return {"answer": await ask_model(ctx, f"Plan a day in {town}: {known}", words=50) or known}


@agent.task("scout_food")
async def scout_food(ctx: Context, input: str) -> str:
    return await ask_model(ctx, f"Name a dish that people eat in {input}.", words=15)


@agent.task("scout_sights")
async def scout_sights(ctx: Context, input: str) -> str:
    return await ask_model(ctx, f"Name a building in {input}.", words=15)


if __name__ == "__main__":
    agent.run()

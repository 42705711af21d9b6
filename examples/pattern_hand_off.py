"""From hand to hand: the front desk answers, or hands a complaint to somebody who may refund."""

from local_model import ask_model
from orchestra_sdk import Agent, Context
from orchestra_sdk.patterns import HandOff, hand_off

agent = Agent("shop", slots=2)


@agent.task("serve_customer")
async def serve_customer(ctx: Context, input: str) -> str:
    return await hand_off(ctx, "front_desk", input, among=["front_desk", "complaints", "refunds"])


@agent.task("front_desk")
async def front_desk(ctx: Context, input: str) -> str | HandOff:
    if any(word in input.casefold() for word in ("broken", "refund", "complain")):
        return HandOff("complaints", input)
    return "Front desk: " + await ask_model(ctx, f"Answer a customer: {input}")


@agent.task("complaints")
async def complaints(ctx: Context, input: str) -> str | HandOff:
    said = await ask_model(ctx, f"Does this customer want money back? Yes or no. {input}", words=3)
    if "no" not in said.casefold().split():
        return HandOff("refunds", input)
    return "Complaints: " + await ask_model(ctx, f"Apologise in one sentence: {input}", step="say")


@agent.task("refunds")
async def refunds(ctx: Context, input: str) -> str:
    return "Refunds: " + await ask_model(ctx, f"Promise a refund in one sentence: {input}")


if __name__ == "__main__":
    agent.run()

"""To the right one: the model names a department, and who cannot be placed gets general help."""

from local_model import ask_model
from orchestra_sdk import Agent, Context
from orchestra_sdk.patterns import router

agent = Agent("help-desk", slots=2)

ROUTES = {"billing": "billing_help", "technical": "technical_help"}


@agent.task("help")
async def help_desk(ctx: Context, input: str) -> str:
    return await router(
        ctx, input, choose="choose_department", routes=ROUTES, otherwise="general_help"
    )


@agent.task("choose_department")
async def choose_department(ctx: Context, input: str) -> str:
    return await ask_model(ctx, f"Is this about billing or technical? One word. {input}", words=5)


@agent.task("billing_help")
async def billing_help(ctx: Context, input: str) -> str:
    return "Billing: " + await ask_model(ctx, f"Answer about money: {input}")


@agent.task("technical_help")
async def technical_help(ctx: Context, input: str) -> str:
    return "Technical: " + await ask_model(ctx, f"Answer like a technician: {input}")


@agent.task("general_help")
async def general_help(ctx: Context, input: str) -> str:
    return "General: " + await ask_model(ctx, f"Answer politely: {input}")


if __name__ == "__main__":
    agent.run()

"""Around a table: a poet, an engineer and an editor talk about a topic, and see what was said."""

from local_model import ask_model
from orchestra_sdk import Agent, Context
from orchestra_sdk.patterns import Said, Table, group_chat

agent = Agent("round-table", slots=2)


@agent.task("brainstorm")
async def brainstorm(ctx: Context, input: str) -> list[Said]:
    said = await group_chat(ctx, ["poet", "engineer", "editor"], input, turns=4)
    for item in said:
        await ctx.emit(f"{item['by']}: {item['text']}\n")
    return said


@agent.task("poet")
async def poet(ctx: Context, input: Table) -> str:
    return await speak(ctx, "a poet", input)


@agent.task("engineer")
async def engineer(ctx: Context, input: Table) -> str:
    return await speak(ctx, "an engineer", input)


@agent.task("editor")
async def editor(ctx: Context, input: Table) -> str:
    return await speak(ctx, "an editor", input)


async def speak(ctx: Context, role: str, table: Table) -> str:
    before = table["said"][-1]["text"] if table["said"] else "nothing yet"
    prompt = f"You are {role}. The topic is {table['topic']}. Somebody said: {before}. Reply."
    return await ask_model(ctx, prompt, words=20)


if __name__ == "__main__":
    agent.run()

"""A research crew: a supervisor plans, finders look for facts side by side, a writer writes.

The supervisor waits without a slot while the others work, so the whole crew runs with one.
"""

import re
from dataclasses import dataclass

from ledger import record
from local_model import ask_model
from orchestra_sdk import Agent, Context
from orchestra_sdk.patterns import Decision, Done, Situation, supervisor

agent = Agent("research-crew", slots=2)

QUESTIONS = 3


@dataclass
class Report:
    question: str
    facts: list[str]
    text: str
    number: int  # under which it was filed


@agent.task("research", description="Answers a question with a small report.")
async def research(ctx: Context, input: str) -> Report:
    found = await supervisor(
        ctx,
        input,
        decide=lambda now: decide(ctx, now),
        workers=["find_fact", "write_report"],
        rounds=2,
    )
    key = f"{ctx.idempotency_key}:file"
    number = await ctx.step("file", lambda: record(key, f"report on {input}"))
    await ctx.emit(found["text"])
    return Report(question=input, number=number, **found)


async def decide(ctx: Context, now: Situation) -> Decision:
    """First facts, then a text about them, then the answer. The small model fills in the words."""
    facts = _results(now["done"], "find_fact")
    texts = _results(now["done"], "write_report")
    if texts or not now["rounds_left"]:
        return {"answer": {"facts": facts, "text": texts[0] if texts else " ".join(facts)}}
    if facts:
        work = {"question": now["goal"], "facts": facts}
        return {"assign": [{"worker": "write_report", "input": work}]}
    questions = await plan(ctx, now)
    return {"assign": [{"worker": "find_fact", "input": question} for question in questions]}


async def plan(ctx: Context, now: Situation) -> list[str]:
    """Return as many questions as there are finders, whatever the model says."""
    goal, step = now["goal"], f"plan#{now['rounds_left']}"
    said = await ask_model(ctx, f"Write {QUESTIONS} short questions about {goal}", step=step)
    asked = [question.strip() for question in re.findall(r"[^.?!\d]+\?", said)]
    always = [f"What is known about this: {goal}", f"Who knows about it: {goal}", goal]
    return [*asked, *always][:QUESTIONS]


@agent.task("find_fact", description="Finds one fact.")
async def find_fact(ctx: Context, input: str) -> str:
    fact = await ask_model(ctx, f"Answer in one short sentence. {input}")
    key = f"{ctx.idempotency_key}:note"
    await ctx.step("note", lambda: record(key, f"fact on {input}"))
    return fact or "Nothing was found."


@dataclass
class Draft:
    question: str
    facts: list[str]


@agent.task("write_report", description="Writes a report from facts.")
async def write_report(ctx: Context, input: Draft) -> str:
    facts = " ".join(input.facts)[:1000]
    text = await ask_model(ctx, f"Summarise in two sentences: {facts}", words=50)
    return text or facts


def _results(done: list[Done], worker: str) -> list[str]:
    return [item["result"] for item in done if item["worker"] == worker and not item["failed"]]


if __name__ == "__main__":
    agent.run()

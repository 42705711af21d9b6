"""Fan-out: one task for each of 200 documents, and one that waits for them all without a slot.

Run as many of these agents as you like, on as many machines: each takes what it has slots for.
"""

from dataclasses import dataclass

from ledger import record
from local_model import ask_model
from orchestra_sdk import Agent, ChildFailed, Context

agent = Agent("summaries", slots=8)

TOPICS = ["rain", "bread", "trains", "bees", "glass", "tea", "maps", "salt", "ships", "owls"]


@dataclass
class Job:
    documents: int = 200


@dataclass
class Document:
    number: int
    text: str


@dataclass
class Summaries:
    documents: int
    failed: int
    first: list[str]


@agent.task("summarise_all", description="Summarises many documents side by side.")
async def summarise_all(ctx: Context, input: Job) -> Summaries:
    documents = [read(number) for number in range(1, input.documents + 1)]
    calls = [ctx.call("summarise_one", document) for document in documents]
    found = await ctx.gather(*calls, return_exceptions=True)
    summaries = [item for item in found if not isinstance(item, ChildFailed)]
    await ctx.emit(f"{len(summaries)} of {len(documents)} documents are summarised.")
    return Summaries(len(documents), len(found) - len(summaries), summaries[:3])


@agent.task("summarise_one", description="Summarises one document and files the summary.")
async def summarise_one(ctx: Context, input: Document) -> str:
    summary = await ask_model(ctx, f"Give this a title: {input.text}", words=6)
    key = f"{ctx.idempotency_key}:file"
    await ctx.step("file", lambda: record(key, f"summary of document {input.number}"))
    return summary


def read(number: int) -> Document:
    """Return a document; a real one would come from a store."""
    topic = TOPICS[number % len(TOPICS)]
    return Document(number, f"Note {number}. A short note on {topic}: people have always liked it.")


if __name__ == "__main__":
    agent.run()

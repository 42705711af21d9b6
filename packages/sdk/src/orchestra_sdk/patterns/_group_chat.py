"""Around a table: every member sees what all have said."""

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from orchestra_sdk._context import Context
from orchestra_sdk.patterns._deciding import Decider, decided


class Said(TypedDict):
    """One contribution, by the capability of its speaker."""

    by: str
    text: Any


class Table(TypedDict):
    """What a member gets."""

    topic: Any
    said: list[Said]


async def group_chat(
    ctx: Context,
    members: Sequence[str],
    topic: Any,
    *,
    turns: int,
    next_speaker: Decider | None = None,
    done: Callable[[list[Said]], bool] = lambda said: False,
    name: str = "speaker",
) -> list[Said]:
    """Return what was said, after so many `turns` or when `done` says so.

    A member gets a `Table` and returns its contribution. They speak in their order, or as
    `next_speaker` says, who gets `{"topic", "said", "members"}` and names one; an answer that names
    nobody leaves it to the order. `done` looks at what was said and at nothing else.
    """
    if not members:
        raise ValueError("a group chat needs members")
    said: list[Said] = []
    for turn in range(turns):
        speaker = members[turn % len(members)]
        if next_speaker is not None:
            situation = {"topic": topic, "said": said, "members": list(members)}
            answer = str(await decided(ctx, next_speaker, situation, name=f"{name}#{turn + 1}"))
            speaker = next((member for member in members if member in answer), speaker)
        text = await ctx.run(speaker, {"topic": topic, "said": said})
        said.append({"by": speaker, "text": text})
        if done(said):
            break
    return said

"""One who decides, and sub-agents who work."""

from collections.abc import Sequence
from typing import Any

from orchestra_sdk._context import Context
from orchestra_sdk._errors import ChildFailed, TaskError
from orchestra_sdk.patterns._deciding import Decider, decided
from orchestra_sdk.patterns._situation import Assigned, Done, Situation, decision_of, work_of


async def supervisor(
    ctx: Context,
    goal: Any,
    *,
    decide: Decider,
    workers: Sequence[str],
    rounds: int = 5,
    name: str = "decide",
) -> Any:
    """Return the answer of `decide`, which gets a `Situation` and returns a `Decision`.

    Work for a capability that is not among `workers`, or without an input, is left out; what is no
    `Decision` at all fails the task as `bad_decision`. After so many `rounds` of work the
    supervisor has to answer from what it has, or the task fails as `no_answer`.
    """
    done: list[Done] = []
    for left in range(rounds, -1, -1):
        situation = Situation(goal=goal, workers=[*workers], done=[*done], rounds_left=left)
        nth = f"{name}#{rounds - left + 1}"
        decision = decision_of(await decided(ctx, decide, situation, name=nth))
        if "answer" in decision:
            return decision["answer"]
        if left:
            done += await _do(ctx, work_of(decision, workers))
    raise TaskError(f"no answer after {rounds} rounds", code="no_answer")


async def _do(ctx: Context, work: Sequence[Assigned]) -> list[Done]:
    """Return the work with what came of it, done side by side."""
    calls = [ctx.call(item["worker"], item["input"]) for item in work]
    results = await ctx.gather(*calls, return_exceptions=True)
    done: list[Done] = []
    for item, result in zip(work, results, strict=True):
        failed = result.message if isinstance(result, ChildFailed) else ""
        done.append({**item, "result": None if failed else result, "failed": failed})
    return done

"""The agent of a chaos run, in a process that faults kill and stop. Run as `python -m chaos.agent`.

Every effect is noted with the key that the handler was given, so that doubled ones can be told
from repeated attempts. What a task does is said by the `kind` in its input.
"""

import asyncio
import importlib
import os
import time
from pathlib import Path
from typing import Any

from orchestra_sdk import Agent, Context, TaskError

from chaos import answers
from chaos.journal import CHILDREN, Effect, Journal, kin_number

NAME, QUEUE, LEDGER = os.environ["CHAOS_AGENT"], os.environ["CHAOS_QUEUE"], "CHAOS_LEDGER"
KIN = f"{QUEUE}-kin"  # what tasks of the queue ask of others
# An agent that shall be an hour ahead or behind: the shift of its clock, in seconds.
SHIFT = float(os.environ.get("CHAOS_CLOCK_SHIFT", "0"))
TOKENS, TOKEN_SECONDS = 40, 0.05
STEP_SECONDS, WAIT_SECONDS = 0.3, 0.5
HANG_SECONDS = 30.0  # until it is cancelled
APPROVAL_SECONDS = 600.0
HUGE_TEXT = "x" * 1_000_000
MEMORY_STEP = 64 * 2**20


class _WrongClock:
    """`time` as the SDK sees it. gRPC keeps the machine's: it reckons deadlines by both."""

    monotonic = staticmethod(time.monotonic)

    @staticmethod
    def time_ns() -> int:
        return time.time_ns() + int(SHIFT * 1e9)


if SHIFT:
    sdk_clock: Any = importlib.import_module("orchestra_sdk._clock")
    sdk_clock.time = _WrongClock

agent = Agent(NAME, slots=int(os.environ.get("CHAOS_SLOTS", "8")), grace_seconds=2.0)
_ledger = Journal(Path(os.environ[LEDGER]))


@agent.task(QUEUE)
async def work(ctx: Context, input: dict[str, Any]) -> dict[str, Any]:
    """Does what its kind says, notes the effect, and tells under which lease it ran."""
    match input["kind"]:
        case "slow":
            await _type_out(ctx)
        case "flaky" if ctx.attempt == 1:
            raise TaskError("The first attempt breaks.", code="flaky", retryable=True)
        case "fails":
            raise TaskError("It cannot be done.", code="hopeless", retryable=False)
        case "step":  # done once, whatever becomes of the lease afterwards
            await ctx.step("effect", lambda: _note(ctx, input["submission"]))
            await asyncio.sleep(STEP_SECONDS)
            return _result(ctx, input)
        case "waits":  # its second lease goes on from here
            await ctx.sleep(WAIT_SECONDS)
        case "cancelled":
            await asyncio.sleep(HANG_SECONDS)
        case "poison":
            await _misbehave(ctx, input["poison"])
        case kind:
            await _let_others_work(ctx, kind, input["submission"])
    _note(ctx, input["submission"])
    return _result(ctx, input)


async def _let_others_work(ctx: Context, kind: str, submission: int) -> None:
    """Other tasks, people, or a model."""
    match kind:
        case "parent":
            await _ask_kin(ctx, submission, "child")
        case "tree":  # is cancelled with all that it has grown
            await _ask_kin(ctx, submission, "hangs")
        case "approved":
            await ctx.approve("May it be done?", {"of": submission}, APPROVAL_SECONDS)
        case "asks":
            await answers.ask(ctx)
        case _:
            pass


@agent.task(KIN)
async def help_out(ctx: Context, input: dict[str, Any]) -> dict[str, Any]:
    """A child of one of the above."""
    if input["kind"] == "hangs":
        await asyncio.sleep(HANG_SECONDS)
    _note(ctx, input["submission"])
    return _result(ctx, input)


async def _ask_kin(ctx: Context, submission: int, kind: str) -> None:
    numbers = [kin_number(submission, place) for place in range(CHILDREN)]
    calls = [ctx.call(KIN, {"submission": number, "kind": kind}) for number in numbers]
    await ctx.gather(*calls)


def _result(ctx: Context, input: dict[str, Any]) -> dict[str, Any]:
    return {"submission": input["submission"], "epoch": ctx.epoch}


async def _type_out(ctx: Context) -> None:
    for number in range(TOKENS):
        await ctx.emit(f"{number} ")
        await asyncio.sleep(TOKEN_SECONDS)


async def _misbehave(ctx: Context, how: str) -> None:
    """What a task may do to its agent."""
    match how:
        case "crash":
            os._exit(1)
        case "memory":
            hoard: list[bytearray] = []
            while True:
                hoard.append(bytearray(b"x" * MEMORY_STEP))
        case "endless":
            await asyncio.Event().wait()
        case "huge":
            for _ in range(100):
                await ctx.emit(HUGE_TEXT)
            raise TaskError("Enough said.", code="huge", retryable=False)
        case _:
            raise TaskError(f"What is {how}?", code="unknown_poison")


def _note(ctx: Context, submission: int) -> None:
    effect = Effect(
        submission=submission,
        key=ctx.idempotency_key,
        task_id=ctx.task_id,
        epoch=ctx.epoch,
        attempt=ctx.attempt,
        agent=NAME,
        at=time.time(),
    )
    _ledger.write(effect)


if __name__ == "__main__":
    agent.run()

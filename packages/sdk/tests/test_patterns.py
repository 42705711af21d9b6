"""Agents that work together, in the known ways."""

from pathlib import Path
from typing import Any, cast

import pytest
from orchestra_sdk import Agent, Context, TaskError, patterns
from orchestra_sdk.patterns import (
    Decision,
    HandOff,
    Said,
    Situation,
    concurrent,
    group_chat,
    hand_off,
    router,
    sequential,
    supervisor,
)
from orchestra_sdk.testing import ControlPlane, TaskFailed, serving

pytestmark = pytest.mark.anyio


def workers() -> Agent:
    """An agent with one slot: whoever waits must not hold it."""
    agent = Agent("workers", slots=1)

    @agent.task("upper")
    async def upper(ctx: Context, input: str) -> str:
        return input.upper()

    @agent.task("twice")
    async def twice(ctx: Context, input: str) -> str:
        return input * 2

    @agent.task("fails")
    async def fails(ctx: Context, input: str) -> str:
        raise TaskError("cannot", code="cannot")

    return agent


async def result_of(plane: ControlPlane, agent: Agent, input: Any = None) -> Any:
    async with serving(agent, plane):
        return await (await plane.submit("pattern", input)).result()


async def test_sequential_hands_each_result_on(plane: ControlPlane) -> None:
    agent = workers()

    @agent.task("pattern")
    async def pattern(ctx: Context, input: str) -> Any:
        return await sequential(ctx, ["upper", "twice", "twice"], input)

    assert await result_of(plane, agent, "a") == "AAAA"


async def test_concurrent_makes_one_answer_of_all(plane: ControlPlane) -> None:
    agent = workers()

    @agent.task("join")
    async def join(ctx: Context, input: list[str]) -> str:
        return " and ".join(input)

    @agent.task("pattern")
    async def pattern(ctx: Context, input: str) -> Any:
        both = await concurrent(ctx, ["upper", "twice"], input, aggregate=sorted)
        some = ["upper", "fails"]
        return [both, await concurrent(ctx, some, input, aggregate="join", at_least=1, name="some")]

    assert await result_of(plane, agent, "a") == [["A", "aa"], "A"]


async def test_concurrent_fails_with_the_first_that_failed(plane: ControlPlane) -> None:
    agent = workers()

    @agent.task("pattern")
    async def pattern(ctx: Context, input: str) -> Any:
        return await concurrent(ctx, ["upper", "fails"], input, aggregate=len)

    with pytest.raises(TaskFailed, match="fails#1: cannot"):
        await result_of(plane, agent, "a")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("double", "bb"),
        ("I would say LOUD, perhaps double.", "B"),
        ("no idea", "b"),
    ],
)
async def test_a_router_takes_whatever_a_model_says(
    plane: ControlPlane, said: str, expected: str
) -> None:
    agent = workers()

    @agent.task("same")
    async def same(ctx: Context, input: str) -> str:
        return input

    @agent.task("pattern")
    async def pattern(ctx: Context, input: str) -> Any:
        routes = {"double": "twice", "loud": "upper"}
        return await router(ctx, input, choose=lambda _: said, routes=routes, otherwise="same")

    assert await result_of(plane, agent, "b") == expected


def passing(*, to: str) -> Agent:
    agent = workers()

    @agent.task("front")
    async def front(ctx: Context, input: str) -> HandOff:
        return HandOff(to, input + "!")

    @agent.task("pattern")
    async def pattern(ctx: Context, input: str) -> Any:
        return await hand_off(ctx, "front", input, among=["upper", "front"], most=3)

    return agent


async def test_work_goes_from_hand_to_hand(plane: ControlPlane) -> None:
    assert await result_of(plane, passing(to="upper"), "a") == "A!"


@pytest.mark.parametrize(
    ("to", "code"), [("front", "too_many_hand_offs"), ("stranger", "unknown_hand_off")]
)
async def test_a_hand_off_is_bounded(plane: ControlPlane, to: str, code: str) -> None:
    with pytest.raises(TaskFailed) as failed:
        await result_of(plane, passing(to=to), "a")
    assert failed.value.code == code


async def test_a_group_talks_until_it_is_done(plane: ControlPlane) -> None:
    agent = Agent("table", slots=1)

    @agent.task("ada")
    async def ada(ctx: Context, input: dict[str, Any]) -> str:
        return f"ada {len(input['said'])}"

    @agent.task("bob")
    async def bob(ctx: Context, input: dict[str, Any]) -> str:
        return f"bob on {input['topic']}"

    @agent.task("pattern")
    async def pattern(ctx: Context) -> list[list[Said]]:
        def done(said: list[Said]) -> bool:
            return said[-1]["by"] == "bob"

        members = ["ada", "bob"]
        in_order = await group_chat(ctx, members, "tea", turns=3)
        chosen = await group_chat(
            ctx, members, "tea", turns=9, next_speaker=lambda now: "bob, I think", done=done
        )
        return [in_order, chosen]

    in_order, chosen = await result_of(plane, agent)
    assert [item["text"] for item in in_order] == ["ada 0", "bob on tea", "ada 2"]
    assert chosen == [{"by": "bob", "text": "bob on tea"}]


async def test_a_supervisor_decides_round_by_round(plane: ControlPlane) -> None:
    agent = workers()
    seen: list[Situation] = []

    def decide(now: Situation) -> Decision:
        seen.append(now)
        if now["done"]:
            return {"answer": [item["result"] or item["failed"] for item in now["done"]]}
        names = ["upper", "twice", "fails", "stranger"]
        return {"assign": [{"worker": worker, "input": now["goal"]} for worker in names]}

    @agent.task("pattern")
    async def pattern(ctx: Context, input: str) -> Any:
        team = ["upper", "twice", "fails"]
        return await supervisor(ctx, input, decide=decide, workers=team)

    assert await result_of(plane, agent, "a") == ["A", "aa", "fails#1: cannot"]
    assert [now["rounds_left"] for now in seen] == [5, 4]


async def test_a_supervisor_without_an_answer_ends(plane: ControlPlane) -> None:
    agent = workers()

    @agent.task("decide")
    async def decide(ctx: Context, input: Situation) -> Decision:
        return {"assign": [{"worker": "upper", "input": "a"}]}

    @agent.task("pattern")
    async def pattern(ctx: Context) -> Any:
        return await supervisor(ctx, "goal", decide="decide", workers=["upper"], rounds=2)

    with pytest.raises(TaskFailed, match="no answer after 2 rounds") as failed:
        await result_of(plane, agent)
    assert failed.value.code == "no_answer"
    assert len([task for task in plane.tasks.values() if task.name.startswith("upper")]) == 2


@pytest.mark.parametrize("said", ["I have an answer: 42", ["a"], None, {"assign": "upper"}])
async def test_what_is_no_decision_fails_the_task_for_good(plane: ControlPlane, said: Any) -> None:
    agent = workers()

    @agent.task("pattern")
    async def pattern(ctx: Context) -> Any:
        return await supervisor(ctx, "goal", decide=lambda now: said, workers=["upper"])

    with pytest.raises(TaskFailed, match="neither an answer nor work") as failed:
        await result_of(plane, agent)
    assert failed.value.code == "bad_decision"


async def test_work_that_is_only_half_said_is_left_out(plane: ControlPlane) -> None:
    agent = workers()

    def decide(now: Situation) -> Any:
        if now["done"]:
            return {"answer": [item["result"] for item in now["done"]]}
        half = [{"input": 1}, {"worker": "upper"}, "upper", {"worker": ["upper"], "input": 1}]
        return {"assign": [*half, {"worker": "upper", "input": "a"}]}

    @agent.task("pattern")
    async def pattern(ctx: Context) -> Any:
        return await supervisor(ctx, "goal", decide=decide, workers=["upper"])

    assert await result_of(plane, agent) == ["A"]


async def test_a_group_chat_needs_members(plane: ControlPlane) -> None:
    with pytest.raises(ValueError, match="needs members"):
        await group_chat(cast("Context", None), [], "topic", turns=1)


def test_every_pattern_can_be_read_on_one_screen() -> None:
    files = list(Path(patterns.__file__).parent.glob("*.py"))
    assert len(files) == 9
    assert {file.name: length for file in files if (length := _lines(file)) > 60} == {}


def _lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())

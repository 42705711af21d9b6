"""The SDK's durable context on the real server: each effect once, whatever is killed meanwhile."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest
from orchestra_sdk import Agent, ChildFailed, TaskError

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

TOPICS = [f"topic-{number}" for number in range(30)]


def crew(effects: Counter[str]) -> Agent:
    """A parent with many children, a timer and a question; every effect is counted."""
    agent = Agent("crew", slots=4)

    def effect(name: str) -> str:
        effects[name] += 1
        return name

    @agent.task("crew")
    async def lead(ctx: Any, topics: list[str]) -> Any:
        plan = await ctx.step("plan", lambda: effect("plan"))
        found = await ctx.gather(*(ctx.call("look", topic) for topic in topics))
        await ctx.sleep(0.2)
        said = await ctx.approve("Publish?", {"found": found}, 60)
        await ctx.step("publish", lambda: effect("publish"))
        return {"plan": plan, "found": found, "approved": said.approved}

    @agent.task("look")
    def look(ctx: Any, topic: str) -> str:
        return str(ctx.step("look", lambda: effect(topic))).upper()

    return agent


async def test_a_crew_finishes_with_each_effect_once_though_a_control_plane_is_killed(
    world: Any, doors: Any
) -> None:
    http = await doors(world.key)
    effects: Counter[str] = Counter()
    await world.worker()
    first = await world.plane()
    async with world.sdk(crew(effects), first.address):
        task = await world.submit("crew", TOPICS)

        async def some_are_done() -> bool:
            return len(effects) > 10

        await world.eventually(some_are_done)
        await first.kill()
        await world.plane(control_plane_listen=first.address)

        async def question() -> Any:
            page = await http.get("/api/approvals", params={"state": "open"})
            return page.json()["items"]

        (asked,) = await world.eventually(question, 30)
        assert asked["data"]["found"] == [topic.upper() for topic in TOPICS]
        said = {"data_hash": asked["data_hash"]}
        answered = await http.post(f"/api/approvals/{asked['id']}/answer", json=said)
        assert answered.status_code == 200
        done = await world.state(task.id, "succeeded", "failed", seconds=30)
    assert done.state == "succeeded", done.error
    assert done.result["approved"]
    assert effects == Counter(["plan", "publish", *TOPICS])
    page = (await http.get(f"/api/tasks/{task.id}/steps", params={"limit": 200})).json()
    assert {"plan", "publish", "sleep#1", "approve#1"} <= {s["name"] for s in page["items"]}


async def test_a_child_that_failed_is_raised_in_its_parent(world: Any) -> None:
    agent = Agent("family", slots=2)

    @agent.task("parent")
    async def parent(ctx: Any, _: Any) -> str:
        try:
            return await ctx.run("child", 1)
        except ChildFailed as error:
            return f"{error.code} of {error.task_id}"

    @agent.task("child")
    def child(ctx: Any, _: Any) -> None:
        raise ValueError("no")

    await world.worker()
    plane = await world.plane()
    async with world.sdk(agent, plane.address):
        task = await world.submit("parent", None)
        done = await world.state(task.id, "succeeded", "failed", seconds=20)
    assert done.state == "succeeded", done.error
    assert "handler_error of " in done.result


def spawner() -> Agent:
    """A parent with one slot, whose child is for a queue that nobody serves yet."""
    agent = Agent("spawner", slots=1)

    @agent.task("parent")
    async def parent(ctx: Any, _: Any) -> str:
        child = await ctx.spawn("elsewhere", 1, name="child", detached=True)
        return child.task_id

    return agent


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_FIRST_ROOM_SECONDS", "_LONGEST_ROOM_SECONDS"):
        monkeypatch.setattr(f"orchestra_sdk._steps.{name}", 0.2)


async def test_a_parent_waits_for_room_without_a_slot_and_without_another_attempt(
    world: Any, http: httpx.AsyncClient, soon: None
) -> None:
    await world.worker()
    plane = await world.plane(max_queued_per_queue=1)
    before = await world.submit("elsewhere", 0)
    async with world.sdk(spawner(), plane.address):
        task = await world.submit("parent", None)
        await world.state(task.id, "waiting")
        assert (await http.post(f"/api/tasks/{before.id}/cancel")).is_success
        done = await world.state(task.id, "succeeded", "failed", seconds=30)
    assert done.state == "succeeded", done.error
    assert (done.attempt, (await world.task(done.result)).state) == (1, "queued")


async def test_who_waits_for_room_in_vain_is_told_which_queue_is_full(
    world: Any, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestra_sdk._steps._ROOM_WAITS", 2)
    await world.worker()
    plane = await world.plane(max_queued_per_queue=1)
    await world.submit("elsewhere", 0)
    async with world.sdk(spawner(), plane.address):
        task = await world.submit("parent", None, max_attempts=1)
        done = await world.state(task.id, "succeeded", "failed", seconds=30)
    assert done.error.code == "queue_full"
    assert "no room for the child 'child' in 2 tries" in done.error.message
    assert "queue elsewhere" in done.error.message


async def test_sleeps_side_by_side_take_as_long_as_the_longest(world: Any, doors: Any) -> None:
    http = await doors(world.key)
    agent = Agent("naps", slots=1)

    @agent.task("naps")
    async def naps(ctx: Any, _: Any) -> str:
        child = ctx.run("child", None)
        await asyncio.gather(*(ctx.sleep(0.1 * number) for number in (3, 1, 2)), child)
        return "rested"

    @agent.task("child")
    def child(ctx: Any, _: Any) -> str:
        return "done"

    await world.worker()
    plane = await world.plane()
    async with world.sdk(agent, plane.address):
        task = await world.submit("naps", None)
        done = await world.state(task.id, "succeeded", "failed", seconds=30)
    assert done.result == "rested", done.error
    steps = (await http.get(f"/api/tasks/{task.id}/steps")).json()["items"]
    begun = {step["created_at"] for step in steps if step["kind"] == "timer"}
    assert (len(steps), len(begun)) == (4, 1), "all of them began with the first wait"


LARGE = "x" * 10_000  # of which few fit into a message of 64 KiB


async def test_results_of_children_arrive_in_as_many_messages_as_they_need(world: Any) -> None:
    agent = Agent("pieces", slots=8)

    @agent.task("parent")
    async def parent(ctx: Any, _: Any) -> list[int]:
        found = await ctx.gather(*(ctx.call("child", number) for number in range(20)))
        await ctx.sleep(0.1)  # the next lease has to be told of all of them again
        return [len(text) for text in found]

    @agent.task("child")
    def child(ctx: Any, number: int) -> str:
        return LARGE + "y" * number

    await world.worker()
    plane = await world.plane(max_grpc_message_bytes=65_536)
    async with world.sdk(agent, plane.address):
        task = await world.submit("parent", None)
        done = await world.state(task.id, "succeeded", "failed", seconds=30)
    assert done.state == "succeeded", done.error
    assert done.result == [len(LARGE) + number for number in range(20)]
    assert done.attempt == 1


async def test_steps_are_refused_before_no_lease_could_be_told_of_them(world: Any) -> None:
    agent, effects = Agent("hoarder", slots=1), Counter[str]()

    @agent.task("hoard")
    async def hoard(ctx: Any, given: str) -> Any:
        refused, pages = "", 0
        for number in range(10):
            try:
                await ctx.step(f"page-{number}", lambda number=number: effect(f"page-{number}"))
            except TaskError as error:
                refused = f"{error.code}: {error.message}"
                break
            pages += 1
        await ctx.sleep(0.1)  # what was kept is all that a lease can be told
        return {"pages": pages, "refused": refused}

    def effect(name: str) -> str:
        effects[name] += 1
        return LARGE

    await world.worker()
    plane = await world.plane(max_grpc_message_bytes=65_536)
    async with world.sdk(agent, plane.address):
        task = await world.submit("hoard", LARGE)
        done = await world.state(task.id, "succeeded", "failed", seconds=30)
    assert done.state == "succeeded", done.error
    assert done.result["pages"] == 4
    assert done.result["refused"].startswith("steps_too_large: The input and the steps")
    kept = [effects[f"page-{number}"] for number in range(4)]
    assert (kept, done.attempt) == ([1] * 4, 1)


async def test_a_control_plane_that_takes_a_run_over_knows_how_much_it_has_kept(
    world: Any, wire: Any
) -> None:
    first = await world.plane(max_grpc_message_bytes=65_536)
    async with wire(first) as agent:
        await agent.connect()
        await world.submit("echo", LARGE)
        run = await agent.assigned()
        for number in range(4):
            assert (await agent.ask_for(run, agent.save(f"{number}", LARGE))).HasField("saved")
        await first.kill()
        plane = await world.plane(max_grpc_message_bytes=65_536)
        agent.address = plane.address
        async with agent:
            await agent.connect((run.task_id, run.epoch))
            refused = (await agent.ask_for(run, agent.save("4", LARGE))).refused
            assert (refused.code, refused.retryable) == ("steps_too_large", False)
            again = await agent.ask_for(run, agent.save("3", LARGE))
            assert again.HasField("saved"), "what is kept is kept"


def payer(amount: int, paid: list[int]) -> Agent:
    """What was shown is not what is paid, if the amount changes in between."""
    agent = Agent("payer", slots=1)

    @agent.task("pay")
    async def pay(ctx: Any, _: Any) -> None:
        await ctx.approve(f"Pay {amount}?", {"amount": amount})
        await ctx.step("pay", lambda: paid.append(amount))

    return agent


@pytest.mark.parametrize("amount", [10, 1_000_000])
async def test_an_approval_counts_only_for_what_was_shown(
    world: Any, doors: Any, amount: int
) -> None:
    http, paid = await doors(world.key), list[int]()
    await world.worker()
    plane = await world.plane()
    async with world.sdk(payer(10, paid), plane.address):
        task = await world.submit("pay", None)
        await world.state(task.id, "waiting")
    (asked,) = (await http.get("/api/approvals")).json()["items"]
    assert asked["data"] == {"amount": 10}
    said = {"data_hash": asked["data_hash"]}
    assert (await http.post(f"/api/approvals/{asked['id']}/answer", json=said)).is_success
    async with world.sdk(payer(amount, paid), plane.address):
        done = await world.state(task.id, "succeeded", "failed", seconds=20)
    if amount == asked["data"]["amount"]:
        assert (done.state, paid) == ("succeeded", [10])
    else:
        assert (done.error.code, done.attempt, paid) == ("nondeterministic", 1, [])
        assert "'approve#1'" in done.error.message
        assert "ctx.step" in done.error.message


def caller(*calls: tuple[str, str], name: str | None = None) -> Agent:
    """A parent that calls these, one after the other, and then asks somebody."""
    agent = Agent("caller", slots=2)

    @agent.task("parent")
    async def parent(ctx: Any, _: Any) -> list[str]:
        found = [await ctx.run(*call, name=name) for call in calls]
        await ctx.approve("Go on?")
        return found

    @agent.task("leaf")
    def leaf(ctx: Any, word: str) -> str:
        return f"leaf of {word}"

    return agent


OLD = ("leaf", "old")
CALLS: dict[str, tuple[Agent, Agent, str]] = {
    "one before it": (caller(OLD), caller(("leaf", "new"), OLD), "nondeterministic"),
    "another": (caller(OLD, name="x"), caller(("other", "old"), name="x"), "nondeterministic"),
    "the same": (caller(OLD, name="x"), caller(OLD, name="x"), ""),
}


@pytest.mark.parametrize("change", CALLS)
async def test_a_childs_result_counts_only_for_the_call_that_was_made(
    world: Any, doors: Any, change: str
) -> None:
    http, (before, after, code) = await doors(world.key), CALLS[change]
    await world.worker()
    plane = await world.plane()
    async with world.sdk(before, plane.address):
        task = await world.submit("parent", None)

        async def asks() -> Any:
            waits: Any = (await http.get(f"/api/tasks/{task.id}")).json()["waits_for"]
            return waits and waits["approval_ids"]

        (asked,) = await world.eventually(asks, 20)
    digest = (await http.get(f"/api/approvals/{asked}")).json()["data_hash"]
    await http.post(f"/api/approvals/{asked}/answer", json={"data_hash": digest})
    async with world.sdk(after, plane.address):
        done = await world.state(task.id, "succeeded", "failed", seconds=20)
    assert (done.error.code if done.error else "", done.attempt) == (code, 1)
    assert done.result == (None if code else ["leaf of old"])

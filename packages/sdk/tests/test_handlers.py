"""What a handler says arrives, in order, and what becomes of it is the end of the task."""

import json
import threading
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict

import msgspec
import pydantic
import pytest
from orchestra_sdk import Agent, Context, SyncContext, TaskError
from orchestra_sdk.testing import ControlPlane, SubmittedTask, TaskFailed, serving, until

pytestmark = pytest.mark.anyio


def kinds(task: SubmittedTask) -> list[str | None]:
    return [event.WhichOneof("event") for event in task.events]


async def test_an_async_handler_streams_and_returns(plane: ControlPlane) -> None:
    agent = Agent("echo")

    @agent.task("echo")
    async def echo(ctx: Context, input: dict[str, Any]) -> dict[str, Any]:
        await ctx.emit("hello ")
        await ctx.emit("world")
        await ctx.progress(0.5, "half")
        ctx.log("seen", level="warning", words=2)
        return {"text": input["text"]}

    async with serving(agent, plane):
        task = await plane.submit("echo", {"text": "你好"})
        assert await task.result() == {"text": "你好"}
    assert task.text == "hello world"
    assert kinds(task) == ["token", "token", "progress", "log", "result"]
    assert [event.sequence for event in task.events] == [1, 2, 3, 4, 5]
    assert task.events[2].progress.fraction == 0.5
    log = task.events[3].log
    assert (log.level, log.message, log.fields["words"]) == ("warning", "seen", 2)
    assert (task.gaps, task.duplicates, task.refused) == ([], 0, 0)


async def test_a_plain_function_streams_from_a_thread(plane: ControlPlane) -> None:
    agent = Agent("sync")
    threads: list[str] = []

    @agent.task("sync")
    def count(ctx: SyncContext, input: dict[str, Any]) -> int:
        threads.append(threading.current_thread().name)
        for number in range(input["upto"]):
            ctx.emit(f"{number} ")
        ctx.progress(1.0)
        return input["upto"]

    async with serving(agent, plane):
        task = await plane.submit("sync", {"upto": 500})
        assert await task.result() == 500
    assert task.text == "".join(f"{number} " for number in range(500))
    assert threads[0].startswith("orchestra-handler")


async def test_plain_functions_run_side_by_side_up_to_the_slots(plane: ControlPlane) -> None:
    agent = Agent("sync", slots=3)
    together = threading.Barrier(3, timeout=10)

    @agent.task("meet")
    def meet(ctx: SyncContext) -> str:
        together.wait()
        return "met"

    async with serving(agent, plane):
        tasks = [await plane.submit("meet") for _ in range(6)]
        assert [await task.result() for task in tasks] == ["met"] * 6


async def test_the_context_knows_the_task(plane: ControlPlane) -> None:
    plane.model_base_url = "http://127.0.0.1:1/v1"
    agent = Agent("facts")

    @agent.task("facts")
    async def facts(ctx: Context) -> dict[str, Any]:
        return {
            "attempt": ctx.attempt,
            "key": ctx.idempotency_key,
            "submitter": ctx.submitter,
            "model": ctx.model_base_url,
            "token": ctx.run_token,
            "deadline": ctx.deadline,
            "task": ctx.task_id,
        }

    async with serving(agent, plane):
        task = await plane.submit("facts", idempotency_key="k1", submitter="ada")
        assert await task.result() == {
            "attempt": 1,
            "key": "k1",
            "submitter": "ada",
            "model": "http://127.0.0.1:1/v1",
            "token": "run-token",
            "deadline": None,
            "task": task.id,
        }


async def test_a_renewed_credential_is_seen_by_the_running_handler(plane: ControlPlane) -> None:
    agent = Agent("token")

    @agent.task("token")
    async def token(ctx: Context) -> str:
        await ctx.emit("started")
        await until(lambda: ctx.run_token != "run-token")
        return ctx.run_token

    async with serving(agent, plane):
        task = await plane.submit("token")
        await task.wait_for(lambda task: bool(task.events))
        plane.renew_credential(task, "fresh")
        assert await task.result() == "fresh"


async def test_an_exception_is_a_retryable_failure_with_its_traceback(plane: ControlPlane) -> None:
    agent = Agent("broken")

    @agent.task("broken")
    async def broken(ctx: Context) -> None:
        await ctx.emit(f"attempt {ctx.attempt}")
        raise RuntimeError("boom" * 10_000)

    async with serving(agent, plane):
        task = await plane.submit("broken", max_attempts=2)
        with pytest.raises(TaskFailed) as caught:
            await task.result()
    assert task.attempt == 2
    assert caught.value.code == "handler_error"
    assert caught.value.message.startswith("RuntimeError: boom")
    assert len(caught.value.message) <= 4096
    assert len(caught.value.traceback) <= 8192
    assert task.text == "attempt 2"


@pytest.mark.parametrize("retryable", [True, False])
async def test_a_task_error_carries_the_authors_words(
    plane: ControlPlane, *, retryable: bool
) -> None:
    agent = Agent("refuses")

    @agent.task("refuse")
    def refuse(ctx: SyncContext) -> None:
        raise TaskError("no such city", code="unknown_city", retryable=retryable)

    async with serving(agent, plane):
        task = await plane.submit("refuse", max_attempts=2)
        with pytest.raises(TaskFailed, match="no such city") as caught:
            await task.result()
    assert caught.value.code == "unknown_city"
    assert task.attempt == (2 if retryable else 1)


async def test_sys_exit_in_a_handler_fails_the_task_and_not_the_agent(plane: ControlPlane) -> None:
    agent = Agent("quits")

    @agent.task("quit")
    async def leave(ctx: Context) -> None:
        raise SystemExit(3)

    async with serving(agent, plane):
        for _ in range(2):
            task = await plane.submit("quit", max_attempts=1)
            with pytest.raises(TaskFailed, match="SystemExit: 3"):
                await task.result()


async def test_an_output_that_is_too_large_says_so(plane: ControlPlane) -> None:
    agent = Agent("large")

    @agent.task("large")
    async def large(ctx: Context, input: int) -> str:
        return "x" * input

    async with serving(agent, plane):
        small = await plane.submit("large", 900_000)
        assert len(await small.result()) == 900_000
        task = await plane.submit("large", 2_000_000)
        with pytest.raises(TaskFailed, match="output_too_large") as caught:
            await task.result()
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (float("nan"), "nan has no JSON form"),
        ({"n": 2**60}, "beyond 2\\^53"),
        ({"a": [object()]}, r"output\.a\[0\]: object has no JSON form"),
        ({1: 2}, "the key 1 is not a string"),
        ("\ud800", "not valid Unicode"),
    ],
)
async def test_an_output_without_a_json_form_says_where(
    plane: ControlPlane, output: Any, said: str
) -> None:
    agent = Agent("odd")

    @agent.task("odd")
    async def odd(ctx: Context) -> Any:
        return output

    async with serving(agent, plane):
        with pytest.raises(TaskFailed, match=said) as caught:
            await (await plane.submit("odd")).result()
    assert caught.value.code == "invalid_output"


@pytest.mark.parametrize("number", [1e16, 1e20, -1e300, 2**53, 1.5])
async def test_a_number_that_came_can_go_back(plane: ControlPlane, number: float) -> None:
    agent = Agent("echo")

    @agent.task("echo")
    async def echo(ctx: Context, input: float) -> Any:
        return input

    async with serving(agent, plane):
        assert await (await plane.submit("echo", number)).result() == number


async def test_broken_unicode_in_a_token_does_not_break_the_stream(plane: ControlPlane) -> None:
    agent = Agent("surrogate")

    @agent.task("surrogate")
    async def surrogate(ctx: Context) -> str:
        await ctx.emit("a\ud800b")
        ctx.log("c\ud800d", value="e\ud800f")
        return "ok"

    async with serving(agent, plane):
        task = await plane.submit("surrogate")
        assert await task.result() == "ok"
    assert task.text == "a?b"


async def test_a_long_text_is_sent_in_pieces(plane: ControlPlane) -> None:
    agent = Agent("long")
    text = "語" * 100_000

    @agent.task("long")
    async def long(ctx: Context) -> None:
        await ctx.emit(text)

    async with serving(agent, plane):
        task = await plane.submit("long")
        assert await task.result() is None
    assert task.text == text
    assert max(event.ByteSize() for event in task.events) < 64 * 1024


@dataclass
class Address:
    city: str
    zip: str | None = None


@dataclass
class Order:
    customer: str
    lines: list[int]
    address: Address
    kind: Literal["gift", "own"] = "own"
    notes: dict[str, str] = field(default_factory=dict[str, str])


class Answer(TypedDict):
    total: int
    text: NotRequired[str]


class Sale(msgspec.Struct):
    amount: int


class Ticket(pydantic.BaseModel):
    seat: int


def typed_agent() -> Agent:
    agent = Agent("typed")

    @agent.task("order", description="takes an order")
    async def order(ctx: Context, input: Order) -> Answer:
        assert isinstance(input.address, Address)
        return {"total": sum(input.lines), "text": f"{input.kind} {input.address.city}"}

    @agent.task("sale")
    async def sale(ctx: Context, input: Sale) -> Sale:
        return Sale(amount=input.amount + 1)

    @agent.task("ticket")
    async def ticket(ctx: Context, input: Ticket) -> Ticket:
        return Ticket(seat=input.seat + 1)

    return agent


async def test_annotations_convert_input_and_output(plane: ControlPlane) -> None:
    given = {"customer": "ada", "lines": [1, 2], "address": {"city": "Bern"}, "kind": "gift"}
    async with serving(typed_agent(), plane):
        order = await plane.submit("order", given)
        assert await order.result() == {"total": 3, "text": "gift Bern"}
        assert await (await plane.submit("sale", {"amount": 1})).result() == {"amount": 2}
        assert await (await plane.submit("ticket", {"seat": 1})).result() == {"seat": 2}


@pytest.mark.parametrize(
    ("capability", "given", "said"),
    [
        ("order", "text", "input: expected an object, got 'text'"),
        ("order", {"customer": "ada"}, r"input\.lines: is missing"),
        (
            "order",
            {"customer": "ada", "lines": [1, "2"], "address": {"city": "Bern"}},
            r"input\.lines\[1\]: expected a whole number, got '2'",
        ),
        (
            "order",
            {"customer": "ada", "lines": [], "address": {"city": "Bern", "zap": 1}},
            r"input\.address\.zap: is not a known field",
        ),
        (
            "order",
            {"customer": "ada", "lines": [], "address": {"city": "Bern"}, "kind": "loan"},
            r"input\.kind: expected one of 'gift', 'own', got 'loan'",
        ),
        (
            "order",
            {"customer": "ada", "lines": [], "address": {"city": "Bern", "zip": 3}},
            r"input\.address\.zip: expected a string, got 3",
        ),
        ("sale", {"amount": "x"}, "Expected `int`"),
        ("ticket", {"seat": "x"}, "valid integer"),
    ],
)
async def test_an_input_that_does_not_fit_fails_once_and_says_where(
    plane: ControlPlane, capability: str, given: Any, said: str
) -> None:
    async with serving(typed_agent(), plane):
        task = await plane.submit(capability, given)
        with pytest.raises(TaskFailed, match=said) as caught:
            await task.result()
    assert caught.value.code == "invalid_input"
    assert task.attempt == 1


async def test_the_registration_describes_the_capabilities(plane: ControlPlane) -> None:
    async with serving(typed_agent(), plane) as connected:
        registration = connected.registration
    assert list(registration.capabilities) == ["order", "sale", "ticket"]
    order = registration.capability_details[0]
    assert order.description == "takes an order"
    schema = json.loads(order.input_schema)
    assert schema["required"] == ["customer", "lines", "address"]
    assert schema["properties"]["kind"] == {"enum": ["gift", "own"]}
    assert schema["properties"]["address"]["properties"]["zip"] == {
        "anyOf": [{"type": "string"}, {"type": "null"}]
    }
    assert json.loads(order.output_schema)["required"] == ["total"]
    assert json.loads(registration.capability_details[1].input_schema)
    assert json.loads(registration.capability_details[2].input_schema)


def test_a_handler_that_cannot_be_called_is_refused_when_it_is_declared() -> None:
    agent = Agent("wrong")
    with pytest.raises(TypeError, match="must take"):
        agent.task("none")(lambda: None)
    with pytest.raises(ValueError, match="a capability is"):
        agent.task("not a word")

    def once(ctx: SyncContext) -> None: ...

    agent.task("once")(once)
    with pytest.raises(ValueError, match="has a handler already"):
        agent.task("once")(once)

"""Turns of a conversation: said once, answered once, stopped, said again."""

import asyncio
from typing import Any

import httpx
import pytest
from orchestra.features.chat import jobs
from orchestra.foundation import clock
from orchestra.processes.api import Api
from people import SignIn

from .conftest import Hand

pytestmark = pytest.mark.anyio


async def begin(client: httpx.AsyncClient, content: str = "Hello there", **body: Any) -> Any:
    """A new conversation with one turn; returns the turn."""
    made = (await client.post("/api/conversations", json=body)).json()
    return (await say(client, made["id"], content)).json()


async def say(
    client: httpx.AsyncClient, conversation: str, content: str, key: str | None = None
) -> httpx.Response:
    headers = {"idempotency-key": key} if key else {}
    url = f"/api/conversations/{conversation}/messages"
    return await client.post(url, json={"content": content}, headers=headers)


async def messages(client: httpx.AsyncClient, conversation: str) -> list[Any]:
    answer = await client.get(f"/api/conversations/{conversation}/messages")
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def at(message: Any, action: str = "") -> str:
    url = f"/api/conversations/{message['conversation_id']}/messages/{message['id']}"
    return f"{url}/{action}" if action else url


async def test_a_turn_is_a_message_an_answer_being_written_and_a_task(
    sign_in: SignIn, hand: Hand
) -> None:
    ann = await sign_in()
    turn = await begin(ann, "What is the capital of France?")
    said, answer = turn["user_message"], turn["assistant_message"]

    assert (said["role"], said["content"]) == ("user", "What is the capital of France?")
    assert (answer["state"], answer["content"]) == ("streaming", "")
    assert await hand.input_of(answer["task_id"]) == {
        "conversation_id": said["conversation_id"],
        "model": answer["model"],
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    }
    conversation = (await ann.get(f"/api/conversations/{said['conversation_id']}")).json()
    assert conversation["title"] == "What is the capital of France?"


async def test_the_same_key_again_gives_the_same_turn_and_no_second_task(
    sign_in: SignIn,
) -> None:
    ann = await sign_in()
    made = (await ann.post("/api/conversations", json={})).json()
    answers = await asyncio.gather(*(say(ann, made["id"], "Once", "key-1") for _ in range(5)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["assistant_message"]["task_id"] for answer in answers}) == 1
    assert len(await messages(ann, made["id"])) == 2
    other = await say(ann, made["id"], "Something else", "key-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")


async def test_while_an_answer_is_written_nothing_else_can_be_said(sign_in: SignIn) -> None:
    ann = await sign_in()
    turn = await begin(ann)
    again = await say(ann, turn["user_message"]["conversation_id"], "And?")
    assert (again.status_code, again.json()["code"]) == (409, "turn_in_progress")
    for action in ("regenerate",):
        refused = await ann.post(at(turn["assistant_message"], action))
        assert refused.json()["code"] == "turn_in_progress"
    edited = await ann.put(at(turn["user_message"]), json={"content": "x"})
    assert edited.json()["code"] == "turn_in_progress"


async def test_the_text_so_far_and_the_end_are_shown_before_the_job_ran(
    sign_in: SignIn, hand: Hand
) -> None:
    ann = await sign_in()
    turn = await begin(ann)
    conversation, task = (
        turn["user_message"]["conversation_id"],
        turn["assistant_message"]["task_id"],
    )
    await hand.write(task, "Bonj")
    writing = (await messages(ann, conversation))[-1]
    assert (writing["state"], writing["content"]) == ("streaming", "Bonj")
    assert writing["cursor"]
    await hand.succeed(task, "Bonjour")
    shown = (await messages(ann, conversation))[-1]
    assert (shown["state"], shown["content"], shown["cursor"]) == ("complete", "Bonjour", None)
    assert shown["usage"] == {"completion_tokens": 2}


@pytest.mark.parametrize(("said", "shown"), [("length", "length"), (["?"], None), ("x" * 99, None)])
async def test_an_answer_tells_why_it_ended_before_and_after_it_is_settled(
    sign_in: SignIn, hand: Hand, said: Any, shown: str | None
) -> None:
    ann = await sign_in()
    turn = await begin(ann)
    answer = turn["assistant_message"]
    assert answer["finish_reason"] is None
    await hand.succeed(answer["task_id"], "Bonj", said)
    before = (await messages(ann, answer["conversation_id"]))[-1]
    await hand.deliver.deliver()
    after = (await messages(ann, answer["conversation_id"]))[-1]
    facts = [(item["state"], item["finish_reason"], item["usage"]) for item in (before, after)]
    assert facts == [("complete", shown, {"completion_tokens": 2})] * 2


async def test_the_end_of_a_task_is_written_once_and_the_next_turn_remembers_it(
    sign_in: SignIn, hand: Hand
) -> None:
    ann = await sign_in()
    turn = await begin(ann, "One")
    task = turn["assistant_message"]["task_id"]
    await hand.succeed(task, "Two")
    assert await hand.deliver.deliver() == 1
    assert await hand.deliver.deliver() == 0

    conversation = turn["user_message"]["conversation_id"]
    again = (await say(ann, conversation, "Three")).json()
    told = (await hand.input_of(again["assistant_message"]["task_id"]))["messages"]
    assert [item["content"] for item in told] == ["One", "Two", "Three"]


async def test_a_turn_can_begin_when_the_former_task_is_over_though_no_job_ran(
    sign_in: SignIn, hand: Hand
) -> None:
    ann = await sign_in()
    turn = await begin(ann, "One")
    await hand.succeed(turn["assistant_message"]["task_id"], "Two")
    again = await say(ann, turn["user_message"]["conversation_id"], "Three")
    assert again.status_code == 202
    told = (await hand.input_of(again.json()["assistant_message"]["task_id"]))["messages"]
    assert [item["content"] for item in told] == ["One", "Two", "Three"]


async def test_an_answer_that_failed_keeps_its_text_and_says_why(
    sign_in: SignIn, hand: Hand
) -> None:
    ann = await sign_in()
    turn = await begin(ann)
    await hand.fail(turn["assistant_message"]["task_id"], "Half")
    await hand.deliver.deliver()
    shown = (await messages(ann, turn["user_message"]["conversation_id"]))[-1]
    assert (shown["state"], shown["content"]) == ("failed", "Half")
    assert shown["error"] == {"code": "agent_failed", "message": "It broke."}


async def test_stopping_cancels_the_task_and_can_be_asked_again(
    sign_in: SignIn, hand: Hand
) -> None:
    ann = await sign_in()
    turn = await begin(ann)
    answer = turn["assistant_message"]
    for _ in range(2):
        stopped = await ann.post(at(answer, "stop"), json={})
        assert stopped.status_code == 202
        assert stopped.json()["assistant_message"]["state"] == "stopped"
    assert await hand.state_of(answer["task_id"]) == "cancelled"
    assert (await say(ann, answer["conversation_id"], "Again")).status_code == 202


async def test_regenerating_puts_another_answer_in_the_place_of_the_old_one(
    sign_in: SignIn, hand: Hand
) -> None:
    ann = await sign_in()
    turn = await begin(ann, "One")
    old = turn["assistant_message"]
    await hand.succeed(old["task_id"], "Two")
    again = await ann.post(at(old, "regenerate"), headers={"idempotency-key": "r1"})
    repeated = await ann.post(at(old, "regenerate"), headers={"idempotency-key": "r1"})

    assert again.status_code == repeated.status_code == 202
    new = again.json()["assistant_message"]
    assert repeated.json()["assistant_message"]["task_id"] == new["task_id"] != old["task_id"]
    shown = await messages(ann, new["conversation_id"])
    assert [item["id"] for item in shown] == [turn["user_message"]["id"], new["id"]]


async def test_editing_takes_away_what_came_after(sign_in: SignIn, hand: Hand) -> None:
    ann = await sign_in()
    first = await begin(ann, "One")
    conversation = first["user_message"]["conversation_id"]
    await hand.succeed(first["assistant_message"]["task_id"], "Two")
    second = (await say(ann, conversation, "Three")).json()
    await hand.succeed(second["assistant_message"]["task_id"], "Four")
    edited = await ann.put(at(first["user_message"]), json={"content": "Uno"})

    assert edited.status_code == 202
    assert edited.json()["user_message"]["edited_at"]
    shown = await messages(ann, conversation)
    assert [item["content"] for item in shown] == ["Uno", ""]
    refused = await ann.put(at(shown[1]), json={"content": "Not mine"})
    assert refused.json()["code"] == "wrong_role"


async def test_deleting_a_conversation_stops_its_answer(sign_in: SignIn, hand: Hand) -> None:
    ann = await sign_in()
    turn = await begin(ann)
    url = f"/api/conversations/{turn['user_message']['conversation_id']}"
    assert (await ann.delete(url)).status_code == 204
    assert await hand.state_of(turn["assistant_message"]["task_id"]) == "cancelled"
    for answer in (await ann.get(url), await ann.get(f"{url}/messages"), await ann.delete(url)):
        assert (answer.status_code, answer.json()["code"]) == (404, "conversation_not_found")


async def test_an_answer_that_nobody_settled_is_found_later(
    sign_in: SignIn, hand: Hand, api: Api
) -> None:
    ann = await sign_in()
    turn = await begin(ann)
    await hand.succeed(turn["assistant_message"]["task_id"], "Late")
    former = clock.use(lambda: clock_later)
    clock_later = former().replace(year=former().year + 1)
    try:
        await jobs.settle_left_behind(hand.database, api.outbox)()
    finally:
        clock.use(former)
    async with hand.database.transaction() as tx:
        states = await tx.fetch("SELECT state, content FROM messages WHERE role = 'assistant'")
    assert [tuple(row) for row in states] == [("complete", "Late")]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        ("", 422, "invalid_input"),
        ("  \n ", 422, "invalid_input"),
        ("\0", 202, None),
        ("é" * 16_385, 413, "message_too_long"),
        ("é" * 16_384, 202, None),
    ],
)
async def test_what_is_said_has_bounds(
    sign_in: SignIn, content: str, status: int, code: str | None
) -> None:
    ann = await sign_in()
    made = (await ann.post("/api/conversations", json={})).json()
    answer = await say(ann, made["id"], content)
    assert (answer.status_code, answer.json().get("code")) == (status, code)


async def test_a_model_that_nobody_knows_is_refused(sign_in: SignIn) -> None:
    ann = await sign_in()
    refused = await ann.post("/api/conversations", json={"model": "nobody/knows"})
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_model")


async def test_strangers_find_nothing_and_viewers_may_not_chat(sign_in: SignIn) -> None:
    ann, bob = await sign_in("ann"), await sign_in("bob")
    turn = await begin(ann)
    said, answer = turn["user_message"], turn["assistant_message"]
    url = f"/api/conversations/{said['conversation_id']}"
    for response in (
        await bob.get(url),
        await bob.patch(url, json={"title": "mine"}),
        await bob.get(f"{url}/messages"),
        await say(bob, said["conversation_id"], "hi"),
        await bob.post(at(answer, "stop")),
        await bob.post(at(answer, "regenerate")),
        await bob.put(at(said), json={"content": "x"}),
        await bob.delete(url),
    ):
        assert response.status_code == 404
    viewer = await sign_in("vic", role="viewer")
    assert (await viewer.get("/api/conversations")).status_code == 403


async def test_a_turn_of_one_conversation_cannot_touch_a_message_of_another(
    sign_in: SignIn, hand: Hand
) -> None:
    ann = await sign_in()
    one, two = await begin(ann, "One"), await begin(ann, "Two")
    await hand.succeed(one["assistant_message"]["task_id"], "x")
    crossed = {
        **one["assistant_message"],
        "conversation_id": two["user_message"]["conversation_id"],
    }
    assert (await ann.post(at(crossed, "regenerate"))).json()["code"] == "message_not_found"

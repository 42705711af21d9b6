"""Conversations: found by title, paged, renamed, named after their first message."""

import base64

import msgspec
import pytest
from orchestra.features.chat.service.conversations import title_from
from people import SignIn

from .conftest import Hand
from .test_turns import begin, say

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("Hello", "Hello"),
        ("# Heading\n\nand text", "Heading"),
        ("  spaces   and\ttabs ", "spaces and tabs"),
        ("word " * 30, "word word word word word word word word word word word word…"),
        ("x" * 100, "x" * 60 + "…"),
        ("你好" * 40, "你好" * 30 + "…"),
        ("***", "***"),
    ],
)
def test_a_title_is_the_cleaned_beginning_of_the_first_message(content: str, title: str) -> None:
    assert title_from(content) == title


async def test_a_search_finds_titles_and_takes_wildcards_literally(sign_in: SignIn) -> None:
    ann = await sign_in()
    for title in ("100% sure", "1000 ships", "snake_case", "snakeXcase", "back\\slash"):
        await ann.post("/api/conversations", json={"title": title})

    async def found(search: str) -> list[str]:
        answer = await ann.get("/api/conversations", params={"search": search})
        return sorted(item["title"] for item in answer.json()["items"])

    assert await found("0%") == ["100% sure"]
    assert await found("E_C") == ["snake_case"]
    assert await found("k\\s") == ["back\\slash"]
    assert len(await found(" ")) == 5


async def test_pages_hold_every_conversation_once_the_newest_first(sign_in: SignIn) -> None:
    ann = await sign_in()
    for number in range(7):
        await ann.post("/api/conversations", json={"title": f"{number}"})
    titles: list[str] = []
    cursor: str | None = None
    while True:
        asked = {"limit": "3", **({"cursor": cursor} if cursor else {})}
        page = (await ann.get("/api/conversations", params=asked)).json()
        titles += [item["title"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert titles == ["6", "5", "4", "3", "2", "1", "0"]


async def test_a_cursor_that_is_not_ours_is_refused(sign_in: SignIn) -> None:
    ann = await sign_in()
    made = (await ann.post("/api/conversations", json={})).json()
    keys = (["x"], ["x", "y"], [1], [2**70], ["2026-01-01T00:00:00", made["id"]], ["\0", "\0"])
    for key in keys:
        cursor = base64.urlsafe_b64encode(msgspec.json.encode(key)).decode()
        listed = await ann.get("/api/conversations", params={"cursor": cursor})
        assert listed.status_code == 422, key
        url = f"/api/conversations/{made['id']}/messages"
        paged = await ann.get(url, params={"cursor": cursor})
        assert paged.status_code == (200 if key == [1] else 422), key
        for other in ("/api/tasks", "/api/agents"):
            answer = await ann.get(other, params={"cursor": cursor})
            assert answer.status_code in {200, 422}, (key, answer.text)


async def test_a_page_of_very_long_answers_is_cut_and_goes_on(sign_in: SignIn, hand: Hand) -> None:
    ann = await sign_in()
    turn = await begin(ann, "0")
    conversation = turn["user_message"]["conversation_id"]
    for number in range(1, 3):
        await hand.succeed(turn["assistant_message"]["task_id"], "x" * 700_000)
        turn = (await say(ann, conversation, f"{number}")).json()
    url = f"/api/conversations/{conversation}/messages"
    seen: list[str] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        page = (await ann.get(url, params={"cursor": cursor} if cursor else {})).json()
        seen = [item["content"][:1] for item in page["items"]] + seen
        cursor = page["next_cursor"]
    assert seen == ["0", "x", "1", "x", "2", ""]


async def test_messages_are_paged_from_the_newest_back(sign_in: SignIn, hand: Hand) -> None:
    ann = await sign_in()
    turn = await begin(ann, "0")
    conversation = turn["user_message"]["conversation_id"]
    for number in range(1, 4):
        await hand.succeed(turn["assistant_message"]["task_id"], f"answer {number - 1}")
        turn = (await say(ann, conversation, f"{number}")).json()
    url = f"/api/conversations/{conversation}/messages"
    newest = (await ann.get(url, params={"limit": 3})).json()
    older = (await ann.get(url, params={"limit": 3, "cursor": newest["next_cursor"]})).json()
    assert [item["content"] for item in newest["items"]] == ["answer 2", "3", ""]
    assert [item["content"] for item in older["items"]] == ["1", "answer 1", "2"]


async def test_a_conversation_is_renamed_and_shows_its_last_words(
    sign_in: SignIn, hand: Hand
) -> None:
    ann = await sign_in()
    turn = await begin(ann, "Hi")
    await hand.succeed(turn["assistant_message"]["task_id"], "Good day")
    await hand.deliver.deliver()
    url = f"/api/conversations/{turn['user_message']['conversation_id']}"
    renamed = await ann.patch(url, json={"title": "  Small \n talk "})
    assert renamed.json()["title"] == "Small talk"
    listed = (await ann.get("/api/conversations")).json()["items"][0]
    assert listed["last_message_preview"] == "Good day"
    assert (await ann.patch(url, json={"titel": "x"})).status_code == 422

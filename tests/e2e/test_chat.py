"""A conversation in the browser, as somebody has it."""

import re

import pytest
from e2e.browser import PHONE, STORED_ANSWER, Person, words_of
from e2e.conftest import OpenWindow
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

CAPITAL = "What is the capital of France?"
STORY = "Tell me a story about a lighthouse keeper, in ten sentences."
WATCH = """() => {
    window.lengths = [];
    new MutationObserver(() => {
        const all = document.querySelectorAll('article[aria-busy] .prose');
        const length = all.item(all.length - 1)?.textContent.length ?? 0;
        if (length !== window.lengths.at(-1)) window.lengths.push(length);
    }).observe(document.body, {childList: true, subtree: true, characterData: true});
}"""


def _start(somebody: Person, text: str) -> None:
    somebody.go("/chat/new")
    somebody.ask(text)
    somebody.page.wait_for_url(re.compile(r"/chat/[0-9a-f-]{36}$"))


def test_an_answer_is_written_before_the_eyes_of_the_asker(window: OpenWindow) -> None:
    with window() as ada:
        ada.go("/chat/new")
        ada.page.evaluate(WATCH)
        ada.ask(CAPITAL)
        text = ada.wait_for_end()
        lengths = ada.page.evaluate("window.lengths")
        ada.shoot("chat-desktop-en-light")
    # What it says is the small model's own: test_clients.py asks it at temperature 0.
    assert len(text) > 5
    grown = {length for length in lengths if length > 0}
    assert len(grown) >= 3, f"the text came at once: {lengths}"


def test_a_refresh_in_the_middle_loses_nothing(window: OpenWindow) -> None:
    with window() as ada:
        _start(ada, STORY)
        before = ada.wait_for_words(60)
        ada.page.reload()
        after = ada.wait_for_end()
        stored = ada.page.evaluate(STORED_ANSWER)
    assert words_of(after).startswith(words_of(before)[:40])
    assert words_of(after) == words_of(stored)


def test_a_second_device_sees_the_same_answer_while_it_is_written(window: OpenWindow) -> None:
    with window() as desk, window(device=PHONE) as phone:
        _start(desk, STORY)
        desk.wait_for_words(40)
        phone.page.goto(desk.page.url)
        phone.wait_for_words(40)
        phone.shoot("chat-phone-en-light-streaming")
        assert phone.wait_for_end() == desk.wait_for_end()


def test_an_answer_can_be_stopped_and_asked_for_again(window: OpenWindow) -> None:
    with window() as ada:
        _start(ada, STORY)
        ada.wait_for_words(40)
        ada.page.get_by_role("button", name="Stop the answer").click()
        expect(ada.page.get_by_text("You stopped this answer.")).to_be_visible()
        stopped = ada.answer_text
        ada.page.get_by_role("button", name="Answer again").click()
        expect(ada.page.get_by_text("You stopped this answer.")).to_be_hidden()
        ada.wait_for_words(len(stopped) + 40)
        expect(ada.page.get_by_role("article", name="Answer")).to_have_count(1)
        ada.page.get_by_role("button", name="Stop the answer").click()
        expect(ada.page.get_by_text("You stopped this answer.")).to_be_visible()


def test_an_edited_question_gets_a_new_answer(window: OpenWindow) -> None:
    with window() as ada:
        _start(ada, "What is the capital of Spain?")
        ada.wait_for_end()
        question = ada.page.get_by_role("article", name="You")
        question.hover()
        question.get_by_role("button", name="Edit the message").click()
        ada.page.get_by_label("Edit the message").fill(CAPITAL)
        ada.page.get_by_role("button", name="Send again").click()
        expect(question).to_contain_text("France")
        expect(question).to_have_count(1)
        answer = ada.wait_for_end()
        ada.page.reload()
        expect(question).to_contain_text("France")
        expect(question).to_have_count(1)
        assert ada.wait_for_end() == answer


def test_conversations_are_renamed_found_and_deleted(window: OpenWindow) -> None:
    with window() as ada:
        _start(ada, CAPITAL)
        ada.wait_for_end()
        sessions = ada.page.get_by_role("navigation", name="Sessions")
        _choose(ada, "Rename")
        ada.page.get_by_label("Title", exact=True).fill("Cities of Europe")
        ada.page.get_by_role("button", name="Save").click()
        expect(sessions.get_by_role("link", name="Cities of Europe")).to_be_visible()
        ada.page.get_by_label("Search sessions by title").fill("of Europe")
        expect(sessions.get_by_role("link")).to_have_count(1)
        _choose(ada, "Delete")
        ada.page.get_by_role("button", name="Delete").click()
        expect(sessions.get_by_role("link", name="Cities of Europe")).to_have_count(0)
        ada.page.wait_for_url(re.compile(r"/chat/?$"))


def _choose(somebody: Person, action: str) -> None:
    """An entry in the menu of the conversation that is open."""
    item = somebody.page.get_by_role("navigation", name="Sessions").get_by_role("listitem")
    shown = item.filter(has=somebody.page.locator("[aria-current=page]"))
    shown.hover()
    shown.get_by_role("button", name="Options of").click()
    somebody.page.get_by_role("menuitem", name=action).click()

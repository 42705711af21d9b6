"""What was acknowledged survives the death of any part, and nobody has to reload the page."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.agents import is_online, running, write_echo
from e2e.browser import STORED_ANSWER, words_of
from e2e.conftest import OpenWindow
from e2e.feeds import Reader, reading
from e2e.product import Product, wait_until

ANSWERS = 4
QUESTION = "Explain how a lighthouse works, in five sentences."
SECONDS = 150.0


def _ask(product: Product, question: str = QUESTION) -> dict[str, Any]:
    """Starts an answer in a new conversation; returns its message."""
    with product.client() as client:
        conversation = client.post("/api/conversations", json={}).raise_for_status().json()
        answer = client.post(
            f"/api/conversations/{conversation['id']}/messages",
            json={"content": question},
            headers={"idempotency-key": conversation["id"]},
        ).raise_for_status()
    return answer.json()["assistant_message"]


def _message(product: Product, message: dict[str, Any]) -> dict[str, Any]:
    with product.client() as client:
        path = f"/api/conversations/{message['conversation_id']}/messages"
        items = client.get(path).raise_for_status().json()["items"]
    return next(item for item in items if item["id"] == message["id"])


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "victim", ["assistant", "control-plane", "api", "nats", "worker", "postgres", "gateway"]
)
def test_four_answers_complete_when_a_part_is_killed(product: Product, victim: str) -> None:
    wait_until(lambda: is_online(product, "chat"), seconds=60, what="the assistant is online")
    messages = [_ask(product) for _ in range(ANSWERS)]
    readers = [Reader(product, message["task_id"]) for message in messages]
    with reading(*readers):
        wait_until(
            lambda: any(len(reader.text) > 20 for reader in readers),
            seconds=60,
            what="the answers are being written",
        )
        former = product.pid(victim)
        product.kill(victim)
        wait_until(
            lambda: all(reader.finished for reader in readers),
            seconds=SECONDS,
            what=f"all answers are complete after {victim} was killed:\n{product.log()}",
        )
    product.wait_restarted(victim, former)
    for reader, message in zip(readers, messages, strict=True):
        _assert_right(reader, _message(product, message))


@pytest.mark.browser
@pytest.mark.timeout(240)
@pytest.mark.parametrize("victim", ["postgres", "gateway"])
def test_a_page_shows_the_whole_answer_without_reload(
    product: Product, window: OpenWindow, victim: str
) -> None:
    with window() as ada:
        ada.go("/chat/new")
        ada.page.evaluate("window.isTheSamePage = true")
        ada.ask(QUESTION)
        ada.page.wait_for_url(re.compile(r"/chat/[0-9a-f-]{36}$"))
        ada.wait_for_words(40)
        former = product.pid(victim)
        product.kill(victim)
        text = ada.wait_for_end()
        product.wait_restarted(victim, former)
        assert ada.page.evaluate("window.isTheSamePage") is True
        kept = ada.page.evaluate(STORED_ANSWER)
    assert words_of(text) == words_of(kept)


def _assert_right(reader: Reader, message: dict[str, Any]) -> None:
    """What a reader was shown is what is kept, each piece once."""
    assert reader.finished is not None
    assert reader.finished["state"] == "succeeded", reader.finished
    assert reader.text == reader.finished["result"]["text"]
    assert message["content"] == reader.text
    assert message["state"] == "complete"
    assert reader.duplicates() == []


@pytest.mark.timeout(240)
def test_tasks_that_wait_complete_although_the_store_of_nats_was_deleted(
    product: Product, tmp_path: Path
) -> None:
    submitted = product.cli("task", "submit", "waiting", "--count", "50").stdout.split()
    _delete_store_of_nats(product)
    with running(product, write_echo(tmp_path, capability="waiting"), capability="waiting"):
        _await_states(product, submitted, lambda state: state == "succeeded")


def _delete_store_of_nats(product: Product) -> None:
    former = product.pid("nats")
    store = product.data_dir / "nats"
    kept = {path for path in store.rglob("*") if path.suffix == ".conf"}
    product.kill("nats")
    for path in sorted(store.iterdir()):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path not in kept:
            path.unlink()
    product.wait_restarted("nats", former)


def _await_states(product: Product, task_ids: list[str], is_done: Callable[[str], bool]) -> None:
    left = set(task_ids)

    def done() -> bool:
        with product.client() as client:
            for task_id in sorted(left):
                answer = client.get(f"/api/tasks/{task_id}")
                if answer.is_success and is_done(answer.json()["state"]):
                    left.discard(task_id)
        return not left

    wait_until(done, seconds=120, what=f"{len(left)} tasks are done")


@pytest.mark.timeout(300)
def test_everything_killed_at_once_loses_no_acknowledged_task(
    product: Product, tmp_path: Path
) -> None:
    submitted = product.cli("task", "submit", "later", "--count", "20").stdout.split()
    message = _ask(product, "What is the capital of France?")
    product.kill_everything()
    product.start()
    with running(product, write_echo(tmp_path, capability="later"), capability="later"):
        _await_states(product, submitted, lambda state: state == "succeeded")
    reader = Reader(product, message["task_id"])
    with reading(reader):
        wait_until(lambda: reader.finished, seconds=120, what="the answer is complete")
    _assert_right(reader, _message(product, message))

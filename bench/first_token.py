"""How much later the first word of a chat turn comes than from the model server itself.

Through the product: the message is posted through the gateway, becomes a task, runs on the built-in
assistant, which asks the model over our own `/v1`; the first `task.token` of the feed counts, again
through the gateway. Direct: the same words to the model server's port.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestra_assistant.history import SYSTEM_PROMPT

from bench.api import Api
from bench.product import Product
from bench.statistic import Rounds, percentile

TURNS_PER_ROUND = 6
WARM_UP_TURNS = 2
MODEL_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class FirstToken:
    """Median milliseconds of each round."""

    ours: Rounds
    direct: Rounds
    added: Rounds


def measure(product: Product, *, rounds: int) -> FirstToken:
    """Turns through the product and direct calls alternate one by one."""
    turn = _Turn(product)
    for number in range(WARM_UP_TURNS):
        _pair(turn, number)
    pairs = [
        [_pair(turn, 100 * one + each) for each in range(TURNS_PER_ROUND)]
        for one in range(1, rounds + 1)
    ]
    ours = Rounds(tuple(percentile([pair[0] for pair in one], 0.5) for one in pairs))
    direct = Rounds(tuple(percentile([pair[1] for pair in one], 0.5) for one in pairs))
    added = Rounds(tuple(percentile([a - b for a, b in one], 0.5) for one in pairs))
    return FirstToken(ours, direct, added)


def _pair(turn: "_Turn", number: int) -> tuple[float, float]:
    """Two numbers of the same length: asked twice, a question would be in the model's cache."""
    return turn.through_product(number), turn.direct(number + 50)


class _Turn:
    """One question either way; its number makes it new, so that no cache has its prompt."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._api = product.api()
        settings = product.record()["settings"]
        self._model = (settings["model_url"], settings["model_key"])

    def through_product(self, number: int) -> float:
        """Milliseconds from posting the message to the first token of its feed."""
        conversation = self._api.request("POST", "/api/conversations", {})["id"]
        path = f"/api/conversations/{conversation}/messages"
        began = time.perf_counter()
        message = self._api.request("POST", path, {"content": _question(number)})[
            "assistant_message"
        ]
        feed = self._product.api().stream("GET", f"/api/tasks/{message['task_id']}/events")
        _until_token(feed)
        passed = time.perf_counter() - began
        self._api.request("POST", f"{path}/{message['id']}/stop", {})
        self._wait_finished(message["task_id"])
        return 1e3 * passed

    def direct(self, number: int) -> float:
        """Milliseconds from the request to the first piece of text."""
        url, key = self._model
        system = {"role": "system", "content": SYSTEM_PROMPT}
        messages = [system, {"role": "user", "content": _question(number)}]
        body = {"model": "any", "messages": messages, "stream": True}
        began = time.perf_counter()
        for line in Api(url, key).stream("POST", "/chat/completions", body):
            if line.startswith(b"data: {") and _has_text(json.loads(line[6:])):
                return 1e3 * (time.perf_counter() - began)
        raise RuntimeError("the model said nothing")

    def _wait_finished(self, task_id: str) -> None:
        """The model is busy until the turn has stopped, and the next measurement wants it free."""
        limit = time.monotonic() + MODEL_PATIENCE_SECONDS
        while self._api.request("GET", f"/api/tasks/{task_id}")["finished_at"] is None:
            if time.monotonic() > limit:
                raise TimeoutError("the turn did not stop")
            time.sleep(0.01)


def _question(number: int) -> str:
    return f"{number} is my number. Tell me a short story about a lighthouse keeper and his cat."


def _until_token(lines: Iterator[bytes]) -> None:
    for line in lines:
        if line.startswith(b"event: task.token"):
            return
        if line.startswith(b"event: task.finished"):
            break
    raise RuntimeError("the turn ended without a token")


def _has_text(chunk: dict[str, Any]) -> bool:
    return any(choice.get("delta", {}).get("content") for choice in chunk.get("choices", ()))

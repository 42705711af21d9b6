"""The capability `chat`: one turn of a conversation, streamed."""

import os
from typing import Any

from orchestra_sdk import Agent, Context

from orchestra_assistant.completion import Answer, Completions
from orchestra_assistant.history import Turn, prompt, turn_of
from orchestra_assistant.problems import ContextExceeded, TooLong

_SLOTS = 4
_HISTORY_TOKENS = 6000  # of the conversation, unless a model turns out to take less
_FEWEST_TOKENS = 200  # a model that takes less than this cannot hold a conversation
_MOST_MODELS = 1000  # whose limits are remembered


def make_agent() -> Agent:
    """Return the assistant, with `ORCHESTRA_ASSISTANT_SLOTS` answers at once (4)."""
    agent = Agent("assistant", slots=int(os.environ.get("ORCHESTRA_ASSISTANT_SLOTS") or _SLOTS))
    assistant = Assistant(Completions())
    agent.task("chat", description="Answers a turn of a conversation.")(assistant.chat)
    return agent


class Assistant:
    """Answers turns, and remembers how much each model can read."""

    def __init__(self, completions: Completions) -> None:
        self._completions = completions
        self._budgets: dict[str, int] = {}

    async def chat(self, ctx: Context, input: dict[str, Any]) -> dict[str, Any]:
        """Stream the answer; returns its text, why it ended, and what it used."""
        turn = turn_of(input)
        answer = await self._answer(ctx, turn)
        return {"text": answer.text, "finish_reason": answer.finish_reason, "usage": answer.usage}

    async def _answer(self, ctx: Context, turn: Turn) -> Answer:
        """Ask with as much of the history as the model takes; nothing was said when it refuses."""
        budget = self._budgets.get(turn.model, _HISTORY_TOKENS)
        while True:
            try:
                return await self._completions.stream(ctx, turn.model, prompt(turn, budget))
            except ContextExceeded as error:
                if budget <= _FEWEST_TOKENS:
                    raise TooLong from error
                # Room for the answer is part of what the model names as its limit.
                budget = min(budget // 2, error.limit // 2 if error.limit else budget)
                self._remember(turn.model, budget)

    def _remember(self, model: str, budget: int) -> None:
        if len(self._budgets) < _MOST_MODELS or model in self._budgets:
            self._budgets[model] = budget

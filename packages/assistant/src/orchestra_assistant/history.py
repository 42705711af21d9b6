"""What of a conversation is sent to the model: the newest messages that fit."""

from dataclasses import dataclass
from typing import Any, cast

from orchestra_sdk import InvalidInput

# No more than this: every further instruction made the small local model answer worse, and larger
# models answer in the user's language without being told.
SYSTEM_PROMPT = "You are a helpful assistant."
DEFAULT_MODEL = "default"
_ROLES = ("system", "user", "assistant")

Message = dict[str, str]


@dataclass(frozen=True)
class Turn:
    """A conversation up to a message of the user, and the model that shall answer."""

    model: str
    messages: tuple[Message, ...]


def turn_of(given: dict[str, Any]) -> Turn:
    """Return the turn; raises `InvalidInput`. Fields of later versions are left alone."""
    messages: Any = given.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidInput("input.messages: expected a list of at least one message")
    items = cast("list[Any]", messages)
    model: Any = given.get("model") or DEFAULT_MODEL
    if not isinstance(model, str):
        raise InvalidInput("input.model: expected a string")
    return Turn(model, tuple(_message(item, index) for index, item in enumerate(items)))


def prompt(turn: Turn, budget: int) -> list[Message]:
    """Return the system's words and the newest messages of about `budget` tokens, at least one.

    What is left begins with the user: an answer without its question misleads a model.
    """
    system = [m for m in turn.messages if m["role"] == "system"]
    system = system or [{"role": "system", "content": SYSTEM_PROMPT}]
    rest = [m for m in turn.messages if m["role"] != "system"]
    left = budget - sum(tokens(m["content"]) for m in system)
    kept: list[Message] = []
    for message in reversed(rest):
        left -= tokens(message["content"])
        if left < 0 and kept:
            break
        kept.append(message)
    kept.reverse()
    while len(kept) > 1 and kept[0]["role"] == "assistant":
        kept.pop(0)
    return system + kept


def tokens(text: str) -> int:
    """Estimate tokens, rather too many: 4 ASCII characters or 2/3 of any other are one."""
    ascii_characters = sum(character < "\x80" for character in text)
    return 4 + ascii_characters // 4 + (len(text) - ascii_characters) * 3 // 2


def _message(item: Any, index: int) -> Message:
    role, content = (item.get("role"), item.get("content")) if isinstance(item, dict) else (0, 0)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if role not in _ROLES or not isinstance(content, str):
        raise InvalidInput(f"input.messages[{index}]: expected a role and a content of text")
    return {"role": str(role), "content": content}  # pyright: ignore[reportUnknownArgumentType]

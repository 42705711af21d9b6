"""What a model API says when it does not answer, as failures of the task."""

import json
import re
from typing import Any, cast

from orchestra_sdk import TaskError

# OpenAI's code, llama.cpp's type, and the words of those that have neither.
_CONTEXT_CODES = ("context_length_exceeded", "exceed_context_size_error")
_CONTEXT_WORDS = re.compile(r"context (?:length|size|window)", re.IGNORECASE)
_LIMIT = re.compile(r"(?:context (?:length|size|window)[^0-9]{0,40}|of )\(?([0-9]{3,7})")
_MAX_SAID = 500


class Unavailable(TaskError):
    """The model cannot be reached, or broke off; another attempt may succeed."""

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message, code="model_unavailable", retryable=True)
        self.retry_after = retry_after  # seconds that the API asked for


class Refused(TaskError):
    """The model API does not accept the request; it would not a second time."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="model_refused", retryable=False)


class ContextExceeded(Refused):
    """The prompt is longer than the model can read; `limit` is in tokens, 0 when not told."""

    def __init__(self, message: str, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class TooLong(TaskError):
    """The last message alone is longer than the model can read."""

    def __init__(self) -> None:
        message = "The message is longer than this model can read. Shorten it or choose another."
        super().__init__(message, code="message_too_long", retryable=False)


def from_response(status: int, body: bytes, *, retry_after: str = "") -> TaskError:
    """Return the failure that an answer with an error status stands for."""
    return _problem(status, _error_in(body), retry_after=_seconds(retry_after))


def from_event(error: Any) -> TaskError:
    """Return the failure that an error in the middle of a stream stands for."""
    fields = cast("dict[str, Any]", error) if isinstance(error, dict) else {"message": str(error)}
    code = fields.get("code")
    refused = fields.get("type") == "invalid_request_error"
    return _problem(code if isinstance(code, int) else 400 if refused else 500, fields)


def _problem(status: int, error: dict[str, Any], *, retry_after: float = 0.0) -> TaskError:
    said = str(error.get("message") or "no reason given")[:_MAX_SAID]
    named = (error.get("code"), error.get("type"))
    too_long = any(code in named for code in _CONTEXT_CODES)
    if status in (400, 413) and (too_long or _CONTEXT_WORDS.search(said)):
        return ContextExceeded(said, _limit(error, said))
    if status == 429:
        return Unavailable(f"The model is too busy: {said}", retry_after=retry_after)
    if status >= 500 or status in (408, 409, 425):
        return Unavailable(f"The model did not answer ({status}): {said}", retry_after=retry_after)
    return Refused(f"The model API refused the request ({status}): {said}")


def _limit(error: dict[str, Any], said: str) -> int:
    told = error.get("n_ctx")  # llama.cpp
    if isinstance(told, int):
        return told
    found = _LIMIT.search(said)
    return int(found[1]) if found else 0


def _error_in(body: bytes) -> dict[str, Any]:
    try:
        parsed: Any = json.loads(body)
    except ValueError:
        return {"message": body[:_MAX_SAID].decode("utf-8", "replace").strip()}
    if not isinstance(parsed, dict):
        return {}
    fields = cast("dict[str, Any]", parsed)
    error = fields.get("error")
    if isinstance(error, dict):
        return cast("dict[str, Any]", error)
    return {"message": error or fields.get("detail") or fields.get("title")}


def _seconds(retry_after: str) -> float:
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        return 0.0

"""From OpenAI's chat completion request to Anthropic's messages request, version 2023-06-01."""

from typing import Any, cast

import msgspec

from orchestra.features.providers.errors import UnsupportedParameter
from orchestra.features.providers.service.wire import ChatRequest, Fields
from orchestra.foundation.errors import InvalidInput

# Anthropic demands a limit; every model allows at least this many tokens.
DEFAULT_MAX_TOKENS = 4_096
_COPIED = ("temperature", "top_p", "top_k", "thinking")
_EMPTY_TEXT = "(empty)"

Block = dict[str, Any]


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    arguments: str | None = None


class _Tool(msgspec.Struct):
    function: _Function
    id: str = ""


class _Message(msgspec.Struct):
    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[_Tool] | None = None
    tool_call_id: str | None = None


class _Chat(msgspec.Struct):
    """The fields that have a counterpart; what has none is refused below or means nothing here."""

    messages: list[_Message]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    thinking: dict[str, Any] | None = None
    stop: str | list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    n: int | None = None
    response_format: dict[str, Any] | None = None


def translate(chat: ChatRequest) -> bytes:
    """The body for Anthropic; raises InvalidInput naming what is wrong or cannot be done."""
    asked = _parse(chat.fields)
    _refuse_unsupported(asked)
    body: dict[str, Any] = {
        "model": chat.model,
        "max_tokens": asked.max_completion_tokens or asked.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": _messages(asked.messages),
        "stream": chat.stream,
    }
    for name in _COPIED:
        if (value := getattr(asked, name)) is not None:
            body[name] = min(value, 1.0) if name == "temperature" else value
    if system := _system(asked.messages):
        body["system"] = system
    if asked.stop:
        body["stop_sequences"] = [asked.stop] if isinstance(asked.stop, str) else asked.stop
    return msgspec.json.encode({**body, **_tools(asked)})


def _parse(fields: Fields) -> _Chat:
    try:
        return msgspec.json.decode(msgspec.json.encode(fields), type=_Chat)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"The request is not a chat completion: {error}") from error


def _refuse_unsupported(asked: _Chat) -> None:
    if asked.n is not None and asked.n != 1:
        raise UnsupportedParameter("Anthropic gives one choice at a time.", parameter="n")
    wanted = (asked.response_format or {}).get("type", "text")
    if wanted != "text":
        raise UnsupportedParameter(
            "Anthropic has no response_format; ask for JSON with a tool.",
            parameter="response_format",
        )


def _system(messages: list[_Message]) -> str:
    parts = [_text_of(item.content) for item in messages if item.role in {"system", "developer"}]
    return "\n\n".join(part for part in parts if part)


def _messages(messages: list[_Message]) -> list[dict[str, Any]]:
    """Turns of user and assistant, which alternate; neighbours of one role become one turn."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role in {"system", "developer"}:
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: _Message) -> list[Block]:
    if message.role == "tool":
        result = _text_of(message.content)
        return [
            {"type": "tool_result", "tool_use_id": message.tool_call_id or "", "content": result}
        ]
    blocks = _content(message.content)
    for call in message.tool_calls or []:
        blocks.append(
            {
                "type": "tool_use",
                "id": call.id,
                "name": call.function.name,
                "input": _arguments(call.function.arguments),
            }
        )
    return blocks


def _content(content: str | list[dict[str, Any]] | None) -> list[Block]:
    if content is None:
        return []
    if isinstance(content, str):
        # An empty block is refused by the API.
        return [{"type": "text", "text": content or _EMPTY_TEXT}]
    return [_part(part) for part in content]


def _part(part: dict[str, Any]) -> Block:
    kind = part.get("type")
    if kind == "text":
        return {"type": "text", "text": str(part.get("text") or _EMPTY_TEXT)}
    if kind == "image_url":
        image: object = part.get("image_url")
        url = cast("dict[str, object]", image).get("url") if isinstance(image, dict) else image
        return {"type": "image", "source": _image_source(str(url))}
    raise UnsupportedParameter(
        f"Anthropic takes no content of type {str(kind)[:50]!r}.", parameter="messages"
    )


def _image_source(url: str) -> Block:
    head, comma, encoded = url.partition(",")
    if head.startswith("data:") and head.endswith(";base64") and comma:
        media_type = head.removeprefix("data:").removesuffix(";base64")
        return {"type": "base64", "media_type": media_type, "data": encoded}
    return {"type": "url", "url": url}


def _text_of(content: str | list[dict[str, Any]] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(str(part.get("text", "")) for part in content if part.get("type") == "text")


def _arguments(text: str | None) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InvalidInput("The arguments of a tool call are not a JSON object.") from error


def _tools(asked: _Chat) -> dict[str, Any]:
    if not asked.tools or asked.tool_choice == "none":
        return {}
    tools = [
        {
            "name": tool.function.name,
            "description": tool.function.description or "",
            "input_schema": tool.function.parameters or {"type": "object"},
        }
        for tool in asked.tools
    ]
    choice = _tool_choice(asked.tool_choice)
    if asked.parallel_tool_calls is False:
        choice["disable_parallel_tool_use"] = True
    return {"tools": tools, "tool_choice": choice}


def _tool_choice(asked: str | dict[str, Any] | None) -> Block:
    if isinstance(asked, dict):
        function: object = asked.get("function")
        name = cast("dict[str, object]", function).get("name") if isinstance(function, dict) else ""
        return {"type": "tool", "name": name}
    return {"type": "any" if asked == "required" else "auto"}

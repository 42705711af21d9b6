"""What a step is asked to do, as a hash: an outcome that was kept for another one is not used.

The server makes the same hashes of what it was sent, by the rules beside `Asked.data_hash` in
agent.proto, and gives them back with the steps that it has kept.
"""

import hashlib
import json
from typing import Any, cast
from uuid import UUID

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _values

_KINDS = {pb.ASK_KIND_APPROVE: "approve", pb.ASK_KIND_ASK: "ask"}
# Below 1e-4 Python writes an exponent; canonical JSON does so from the next power of ten on.
_LAST_WITHOUT_EXPONENT = -5
_spelled = json.JSONEncoder(ensure_ascii=False).encode


def of_question(ask: pb.Ask) -> str:
    """Return the hash of all that a person sees."""
    content = _values.from_value(ask.data)
    kind, choices = _KINDS[ask.kind], list(ask.choices)
    return _digest({"choices": choices, "data": content, "kind": kind, "question": ask.question})


def of_child(child: pb.Child) -> str:
    """Return the hash of its work; how it is run (priority, time limits …) is no part of it."""
    queue = _as_id(child.agent_id) if child.agent_id else child.capability
    return _digest([queue, child.capability, _values.from_value(child.input)])


def _as_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:  # no server has taken it
        return text


def _digest(asked: Any) -> str:
    return hashlib.sha256(_canonical(asked).encode()).hexdigest()


def _canonical(item: Any) -> str:
    if isinstance(item, dict):
        fields = sorted(cast("dict[str, Any]", item).items())
        return "{" + ",".join(f"{_spelled(key)}:{_canonical(field)}" for key, field in fields) + "}"
    if isinstance(item, list):
        return "[" + ",".join(_canonical(each) for each in cast("list[Any]", item)) + "]"
    return _number(item) if isinstance(item, float) else _spelled(item)


def _number(number: float) -> str:
    """Return a whole number with all its digits, another one in its fewest."""
    if number.is_integer():
        return str(int(number))
    digits, _, exponent = repr(number).partition("e")
    if not exponent:
        return digits
    if int(exponent) < _LAST_WITHOUT_EXPONENT:
        return f"{digits}e{int(exponent)}"
    sign = "-" if number < 0 else ""
    return f"{sign}0.0000{digits.lstrip('-').replace('.', '')}"

"""What a step was asked to do, as a hash: the same name with another one is not the same step.

The SDK makes the same hashes by itself (orchestra_sdk/_fingerprints.py), of what it is about to ask
for again. So nothing here may depend on how a number was spelled, or on what a library likes.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from orchestra.features.tasks.types import ApprovalKind

_CANONICAL = msgspec.json.Encoder(order="sorted")


def of_question(kind: ApprovalKind, question: str, data: object, choices: Sequence[str]) -> str:
    """Of all that a person sees, in hexadecimal: an answer is bound to it."""
    asked = {"choices": list(choices), "data": data, "kind": kind, "question": question}
    return _digest(asked).hex()


def of_work(queue: str, capability: str, given: object) -> bytes:
    """The same for the same work: where it goes, and its input."""
    return _digest([queue, capability, given])


def _digest(asked: object) -> bytes:
    """SHA-256 of the canonical JSON (sorted keys, no spaces, whole numbers as such, UTF-8)."""
    return hashlib.sha256(_CANONICAL.encode(_plain(asked))).digest()


def _plain(value: object) -> Any:
    """JSON in which a number is spelled in one way only, wherever it has been meanwhile."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
        return {key: _plain(item) for key, item in items}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("Sequence[object]", value)]
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return value

"""JSON and google.protobuf.Value, in both directions.

Written out because the library's own conversion costs ten times as much. A Value has only doubles:
whole numbers beyond 2⁵³ lose their last digits on the way, as in JavaScript.
"""

from collections.abc import Mapping
from typing import Any, cast

from google.protobuf.struct_pb2 import NULL_VALUE, Value

MAX_EXACT = 2**53
# Deeper than any sensible value, and far from Python's own limit.
MAX_DEPTH = 64


class TooDeep(ValueError):
    """A value is nested deeper than 64 levels."""


def to_value(json: Any, into: Value | None = None, depth: int = 0) -> Value:
    """Plain JSON as a Value; raises TooDeep."""
    value = Value() if into is None else into
    if depth > MAX_DEPTH:
        raise TooDeep
    if isinstance(json, str):
        value.string_value = json
    elif json is None:
        value.null_value = NULL_VALUE
    elif isinstance(json, bool):
        value.bool_value = json
    elif isinstance(json, int | float):
        value.number_value = json
    elif isinstance(json, Mapping):
        _fill_struct(cast("Mapping[str, Any]", json), value, depth)
    else:
        values = value.list_value.values
        value.list_value.SetInParent()
        for item in json:
            to_value(item, values.add(), depth + 1)
    return value


def from_value(value: Value, depth: int = 0) -> Any:
    """A Value as plain JSON, whole numbers as int; raises TooDeep."""
    if depth > MAX_DEPTH:
        raise TooDeep
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        return _number(value.number_value)
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        fields = value.struct_value.fields
        return {key: from_value(item, depth + 1) for key, item in fields.items()}
    if kind == "list_value":
        return [from_value(item, depth + 1) for item in value.list_value.values]
    return None


def _fill_struct(json: Mapping[str, Any], value: Value, depth: int) -> None:
    value.struct_value.SetInParent()
    fields = value.struct_value.fields
    for key, item in json.items():
        to_value(item, fields[key], depth + 1)


def _number(number: float) -> int | float | None:
    if number.is_integer() and abs(number) <= MAX_EXACT:
        return int(number)
    # JSON has neither infinities nor NaN.
    return number if abs(number) < float("inf") else None

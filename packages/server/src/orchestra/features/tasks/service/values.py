"""JSON and google.protobuf.Value, in both directions.

Written out because the library's own conversion costs ten times as much. A Value has only doubles:
a whole number that is none is refused by `check`, since another would arrive.
"""

from collections.abc import Mapping
from typing import Any, cast

from google.protobuf.struct_pb2 import NULL_VALUE, Value

MAX_EXACT = 2**53
MOST_SPELLED = 10**40
# Protobuf reads a hundred messages inside each other; an object in an object is three of them.
MAX_DEPTH = 30


class TooDeep(ValueError):
    """A value is nested too deeply."""

    def __init__(self) -> None:
        super().__init__(f"nested deeper than {MAX_DEPTH} levels")


def check(json: Any) -> None:
    """Raises ValueError for JSON that cannot become a Value as it is, whatever its depth."""
    level = [json]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(cast("dict[str, Any]", item).values())
            elif isinstance(item, list | tuple):
                inner.extend(cast("list[Any]", item))
            elif isinstance(item, int) and not _is_double(item):
                raise ValueError(f"{_shortened(item)} is no double, send it as a string")
        if not inner:
            return
        level = inner
    raise TooDeep


def _is_double(number: int) -> bool:
    try:
        return abs(number) <= MAX_EXACT or float(number) == number
    except OverflowError:
        return False


def _shortened(number: int) -> str:
    """Python itself refuses to spell the longest."""
    return str(number) if abs(number) < MOST_SPELLED else "a number of so many digits"


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


def size(json: Any) -> int:
    """How many bytes `to_value` makes of JSON that passes `check`, without making them."""
    if isinstance(json, str):
        return _field(_length(json))
    if json is None or isinstance(json, bool):
        return 2
    if isinstance(json, int | float):
        return 9
    if isinstance(json, Mapping):
        fields = cast("Mapping[str, Any]", json).items()
        entries = (_field(_length(key)) + _field(size(item)) for key, item in fields)
        return _field(sum(_field(entry) for entry in entries))
    return _field(sum(_field(size(item)) for item in json))


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


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _field(content: int) -> int:
    """With its tag, a byte in all messages of a Value, and its length, seven bits in each byte."""
    return 1 + max(1, (content.bit_length() + 6) // 7) + content


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

"""Python values to and from `google.protobuf.Value`, the protocol's JSON."""

import dataclasses
import enum
import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, cast
from uuid import UUID

from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value

# A Value's number is a double: whole numbers beyond this would silently change.
_LARGEST_WHOLE_NUMBER = 2**53
_MAX_DEPTH = 30  # protobuf itself stops at 100 nested messages, and each level costs up to three


class Unserialisable(ValueError):
    """The value has no JSON form that the protocol could carry."""


def from_value(value: Value) -> Any:
    """Return the Python value: dict, list, str, int, float, bool or None."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return [from_value(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        is_whole = number.is_integer() and abs(number) <= _LARGEST_WHOLE_NUMBER
        return int(number) if is_whole else number
    return value.bool_value if kind == "bool_value" else None


def from_struct(struct: Struct) -> dict[str, Any]:
    """Return the struct as a dict."""
    return {name: from_value(value) for name, value in struct.fields.items()}


def to_value(item: Any, path: str = "output") -> Value:
    """Return the protocol's form of `item`; raises `Unserialisable` and says where."""
    value = Value()
    _fill(value, item, path)
    return value


def to_struct(fields: Mapping[str, Any]) -> Struct:
    """Return named values as a struct; what has no JSON form becomes its `repr`."""
    struct = Struct()
    for name, item in fields.items():
        try:
            _fill(struct.fields[name], item, name)
        except Unserialisable:
            struct.fields[name].string_value = repr(item)
    return struct


def _fill(value: Value, item: Any, path: str, depth: int = 0) -> None:
    if depth > _MAX_DEPTH:
        raise Unserialisable(f"{path}: nested deeper than {_MAX_DEPTH} levels")
    if isinstance(item, enum.Enum):
        item = item.value
    if isinstance(item, str):
        value.string_value = _text(item, path)
    elif item is None:
        value.null_value = NULL_VALUE
    elif isinstance(item, bool):
        value.bool_value = item
    elif isinstance(item, int | float):
        value.number_value = _number(item, path)
    elif isinstance(item, Mapping):
        _fill_struct(value.struct_value, cast("Mapping[Any, Any]", item), path, depth)
    elif isinstance(item, list | tuple):
        value.list_value.Clear()
        for index, child in enumerate(cast("list[Any]", item)):
            _fill(value.list_value.values.add(), child, f"{path}[{index}]", depth + 1)
    else:
        _fill(value, plain(item, path), path, depth + 1)


def _fill_struct(struct: Struct, item: Mapping[Any, Any], path: str, depth: int) -> None:
    struct.Clear()
    struct.SetInParent()
    for name, child in item.items():
        if not isinstance(name, str):
            raise Unserialisable(f"{path}: the key {name!r} is not a string")
        _fill(struct.fields[_text(name, path)], child, f"{path}.{name}", depth + 1)


def _text(item: str, path: str) -> str:
    try:
        item.encode()
    except UnicodeEncodeError as error:
        raise Unserialisable(f"{path}: not valid Unicode ({error.reason})") from error
    return item


def _number(item: float, path: str) -> float:
    if isinstance(item, int):
        if abs(item) > _LARGEST_WHOLE_NUMBER:
            raise Unserialisable(f"{path}: {item} is beyond 2^53, send it as a string")
    elif not math.isfinite(item):
        raise Unserialisable(f"{path}: {item} has no JSON form")
    return item


def plain(item: Any, path: str) -> Any:
    """Return a model, dataclass, time or id as plain JSON types."""
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return {f.name: getattr(item, f.name) for f in dataclasses.fields(item)}
    if isinstance(item, datetime | date):
        return item.isoformat()
    if isinstance(item, UUID):
        return str(item)
    if callable(dump := getattr(item, "model_dump", None)):  # pydantic, if the author has it
        return dump(mode="json")
    names = cast("tuple[str, ...] | None", getattr(item, "__struct_fields__", None))
    if names is not None:  # msgspec, if the author has it
        return {name: getattr(item, name) for name in names}
    raise Unserialisable(f"{path}: {type(item).__name__} has no JSON form")

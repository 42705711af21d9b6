"""JSON Schema (2020-12) of a handler's annotation, for people and programs that submit tasks."""

import dataclasses
import enum
import json
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, Union
from uuid import UUID

from orchestra_sdk._conversion import bare, is_required

_BASIC: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    type(None): {"type": "null"},
    None: {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    UUID: {"type": "string", "format": "uuid"},
}


def text(annotation: Any) -> str:
    """Return the schema as JSON text, empty when the annotation says nothing."""
    schema = _schema(annotation, ())
    return json.dumps(schema, separators=(",", ":")) if schema else ""


def _schema(annotation: Any, outer: tuple[Any, ...]) -> dict[str, Any]:
    annotation = bare(annotation)
    if annotation in outer:
        return {}  # a type that holds itself: described once, open below
    if annotation in _BASIC:
        return dict(_BASIC[annotation])
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(choice, outer) for choice in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if (origin or annotation) in (dict, Mapping):
        inner = _schema(arguments[1], outer) if len(arguments) == 2 else {}
        return {"type": "object"} | ({"additionalProperties": inner} if inner else {})
    if (origin or annotation) in (list, Sequence, tuple, set, frozenset):
        return _array(origin or annotation, arguments, outer)
    return _class(annotation, outer) if isinstance(annotation, type) else {}


def _array(container: Any, arguments: tuple[Any, ...], outer: tuple[Any, ...]) -> dict[str, Any]:
    if container is tuple and arguments and arguments[-1] is not Ellipsis:
        items = [_schema(kind, outer) for kind in arguments]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "items": False}
    inner = _schema(arguments[0], outer) if arguments else {}
    return {"type": "array"} | ({"items": inner} if inner else {})


def _class(annotation: Any, outer: tuple[Any, ...]) -> dict[str, Any]:
    if issubclass(annotation, enum.Enum):
        return {"enum": [member.value for member in annotation]}
    if typing.is_typeddict(annotation):
        return _object(annotation, sorted(annotation.__required_keys__), outer)
    if dataclasses.is_dataclass(annotation):
        required = [field.name for field in dataclasses.fields(annotation) if is_required(field)]
        return _object(annotation, required, outer)
    if hasattr(annotation, "model_json_schema"):
        return annotation.model_json_schema()
    if hasattr(annotation, "__struct_fields__"):
        msgspec: Any = sys.modules["msgspec"]
        return msgspec.json.schema(annotation)
    return {}


def _object(annotation: Any, required: list[str], outer: tuple[Any, ...]) -> dict[str, Any]:
    hints = typing.get_type_hints(annotation)
    properties = {name: _schema(hint, (*outer, annotation)) for name, hint in hints.items()}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return schema | ({"required": required} if required else {})

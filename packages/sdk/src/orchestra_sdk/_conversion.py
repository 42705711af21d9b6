"""Turns JSON into what a handler's annotation says, or says what does not fit.

Basic types, containers, Optional, Union, Literal, enums, dataclasses and TypedDicts; models of
msgspec and pydantic when the author has those (recognised by their methods, never imported).
"""

import dataclasses
import enum
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, NotRequired, Required, Union, cast
from uuid import UUID

from orchestra_sdk._errors import InvalidInput

_MAPPINGS = (dict, Mapping)
_SEQUENCES = (list, Sequence, tuple, set, frozenset)
_PARSED: dict[Any, Any] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    UUID: UUID,
}


def convert(item: Any, annotation: Any, path: str = "input") -> Any:
    """Return `item` as `annotation`; raises `InvalidInput`: where, and what was expected."""
    annotation = bare(annotation)
    if annotation is Any or annotation is object:
        return item
    origin = typing.get_origin(annotation)
    if origin in (Union, types.UnionType):
        return _union(item, annotation, path)
    if origin is Literal:
        return _literal(item, typing.get_args(annotation), path)
    if annotation is None or annotation is type(None):
        return _exactly(item, type(None), path)
    if (origin or annotation) in _MAPPINGS:
        return _mapping(item, typing.get_args(annotation), path)
    if (origin or annotation) in _SEQUENCES:
        return _sequence(item, annotation, path)
    if isinstance(annotation, type):
        return _class(item, annotation, path)
    return item  # a TypeVar or something newer than this code: the handler's own business


def bare(annotation: Any) -> Any:
    """Return the annotation without Annotated, Required, NotRequired or NewType around it."""
    while True:
        if typing.get_origin(annotation) in (typing.Annotated, Required, NotRequired):
            annotation = typing.get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        else:
            return annotation


def _class(item: Any, annotation: type[Any], path: str) -> Any:
    if annotation in (str, bool, int):
        return _exactly(item, annotation, path)
    if annotation is float:
        return float(_number(item, path))
    if annotation in _PARSED:
        return _parsed(item, annotation, path)
    if issubclass(annotation, enum.Enum):
        return _enum(item, annotation, path)
    if typing.is_typeddict(annotation):
        return _typed_dict(item, annotation, path)
    if dataclasses.is_dataclass(annotation):
        return _dataclass(item, annotation, path)
    return _model(item, annotation, path)


def _union(item: Any, annotation: Any, path: str) -> Any:
    reasons: list[str] = []
    for choice in typing.get_args(annotation):
        try:
            return convert(item, choice, path)
        except InvalidInput as error:
            reasons.append(error.message)
    if len(reasons) == 2 and type(None) in typing.get_args(annotation):
        choices = typing.get_args(annotation)
        raise InvalidInput(reasons[0 if choices[1] is type(None) else 1])
    raise InvalidInput(f"{path}: fits none of the possible types ({'; '.join(reasons)})")


def _literal(item: Any, choices: tuple[Any, ...], path: str) -> Any:
    for choice in choices:
        if item == choice and type(item) is type(choice):
            return item
    raise InvalidInput(
        f"{path}: expected one of {', '.join(map(repr, choices))}, got {_short(item)}"
    )


def _exactly(item: Any, annotation: type, path: str) -> Any:
    fits = isinstance(item, annotation) and not (annotation is int and isinstance(item, bool))
    if not fits:
        raise InvalidInput(f"{path}: expected {_word(annotation)}, got {_short(item)}")
    return item


def _number(item: Any, path: str) -> float:
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise InvalidInput(f"{path}: expected a number, got {_short(item)}")
    return item


def _parsed(item: Any, annotation: type, path: str) -> Any:
    try:
        return _PARSED[annotation](_exactly(item, str, path))
    except ValueError as error:
        raise InvalidInput(f"{path}: not a {annotation.__name__}: {_short(item)}") from error


def _enum(item: Any, annotation: type[enum.Enum], path: str) -> Any:
    try:
        return annotation(item)
    except ValueError as error:
        choices = ", ".join(repr(member.value) for member in annotation)
        raise InvalidInput(f"{path}: expected one of {choices}, got {_short(item)}") from error


def _mapping(item: Any, arguments: tuple[Any, ...], path: str) -> Any:
    fields = _object(item, path)
    if len(arguments) != 2:
        return fields
    return {
        convert(name, arguments[0], path): convert(child, arguments[1], f"{path}.{name}")
        for name, child in fields.items()
    }


def _sequence(item: Any, annotation: Any, path: str) -> Any:
    if not isinstance(item, list):
        raise InvalidInput(f"{path}: expected a list, got {_short(item)}")
    items = cast("list[Any]", item)
    container = typing.get_origin(annotation) or annotation
    arguments = typing.get_args(annotation)
    if container is tuple and arguments and arguments[-1] is not Ellipsis:
        if len(items) != len(arguments):
            raise InvalidInput(f"{path}: expected {len(arguments)} items, got {len(items)}")
        kinds = list(arguments)
    else:
        kinds = [arguments[0] if arguments else Any] * len(items)
    converted = [
        convert(child, kind, f"{path}[{index}]")
        for index, (child, kind) in enumerate(zip(items, kinds, strict=True))
    ]
    make = cast("Callable[[list[Any]], Any]", list if container is Sequence else container)
    return make(converted)


def _typed_dict(item: Any, annotation: Any, path: str) -> dict[str, Any]:
    hints = typing.get_type_hints(annotation)
    fields = _known(_object(item, path), hints, path)
    for name in sorted(annotation.__required_keys__):
        if name not in fields:
            raise InvalidInput(f"{path}.{name}: is missing")
    return {name: convert(child, hints[name], f"{path}.{name}") for name, child in fields.items()}


def _dataclass(item: Any, annotation: Any, path: str) -> Any:
    hints = typing.get_type_hints(annotation)
    declared = {field.name: field for field in dataclasses.fields(annotation) if field.init}
    fields = _known(_object(item, path), declared, path)
    for name, field in declared.items():
        if name not in fields and is_required(field):
            raise InvalidInput(f"{path}.{name}: is missing")
    values = {n: convert(child, hints[n], f"{path}.{n}") for n, child in fields.items()}
    try:
        return annotation(**values)
    except (TypeError, ValueError) as error:  # the author's own __post_init__ refused
        raise InvalidInput(f"{path}: {error}") from error


def is_required(field: dataclasses.Field[Any]) -> bool:
    """Whether a dataclass field has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _model(item: Any, annotation: Any, path: str) -> Any:
    if hasattr(annotation, "model_validate"):
        check = annotation.model_validate
    elif hasattr(annotation, "__struct_fields__"):
        msgspec: Any = sys.modules["msgspec"]  # the author's class can only exist after its import

        def check(given: Any) -> Any:
            return msgspec.convert(given, annotation)
    else:
        return _exactly(item, annotation, path)
    try:
        return check(item)
    except (TypeError, ValueError) as error:  # what both libraries derive their errors from
        raise InvalidInput(f"{path}: {error}") from error


def _object(item: Any, path: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise InvalidInput(f"{path}: expected an object, got {_short(item)}")
    return cast("dict[str, Any]", item)


def _known(fields: dict[str, Any], declared: Mapping[str, Any], path: str) -> dict[str, Any]:
    for name in fields:
        if name not in declared:
            raise InvalidInput(f"{path}.{name}: is not a known field")
    return fields


def _word(annotation: type) -> str:
    words = {str: "a string", bool: "true or false", int: "a whole number", type(None): "null"}
    return words.get(annotation, annotation.__name__)


def _short(item: Any) -> str:
    text = repr(item)
    return text if len(text) <= 80 else text[:77] + "…"

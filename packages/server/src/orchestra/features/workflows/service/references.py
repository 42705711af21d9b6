"""References inside the data of a workflow: found when it is declared, put in when it runs."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

INPUT, NODE, AT = "$input", "$node", "at"
MAX_DEPTH = 64
# As RFC 6901 spells it, and no longer than a list can be.
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")


class Missing(LookupError):
    """A reference finds nothing."""


class BadReference(ValueError):
    """Something that looks like a reference is none."""


@dataclass(frozen=True, slots=True)
class Reference:
    """`node` is empty for the run's own input."""

    node: str
    pointer: str


def found_in(value: Any, depth: int = 0) -> Iterator[Reference]:
    """Every reference in the value; raises BadReference."""
    if depth > MAX_DEPTH:
        raise BadReference("is nested too deeply")
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        reference = _read(fields)
        if reference is not None:
            yield reference
            return
        for item in fields.values():
            yield from found_in(item, depth + 1)
    elif isinstance(value, list):
        for item in cast("Sequence[Any]", value):
            yield from found_in(item, depth + 1)


def filled(value: Any, find: Callable[[Reference], Any]) -> Any:
    """The value with what its references stand for."""
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        reference = _read(fields)
        if reference is not None:
            return find(reference)
        return {key: filled(item, find) for key, item in fields.items()}
    if isinstance(value, list):
        return [filled(item, find) for item in cast("Sequence[Any]", value)]
    return value


def resolve(document: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) finds; raises Missing."""
    here = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(here, Mapping) and key in here:
            here = cast("Mapping[str, Any]", here)[key]
        elif isinstance(here, list) and _INDEX.fullmatch(key) and int(key) < len(here):  # pyright: ignore[reportUnknownArgumentType]
            here = cast("Sequence[Any]", here)[int(key)]
        else:
            raise Missing(pointer)
    return here


def _read(fields: Mapping[str, Any]) -> Reference | None:
    if INPUT in fields:
        return Reference("", _pointer(fields[INPUT], fields, {INPUT}))
    if NODE in fields:
        node = fields[NODE]
        if not isinstance(node, str) or not node:
            raise BadReference(f"{NODE} names a node")
        return Reference(node, _pointer(fields.get(AT, ""), fields, {NODE, AT}))
    return None


def _pointer(pointer: Any, fields: Mapping[str, Any], known: set[str]) -> str:
    if unknown := set(fields) - known:
        raise BadReference(f"a reference has no {min(unknown)!r}")
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise BadReference("a JSON pointer is empty or begins with /")
    return pointer

"""What JSON refers to: a value `{"$blob": "<sha256>"}`, perhaps with more fields for its reader."""

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from orchestra.features.blobs.errors import BadReference
from orchestra.features.blobs.repository import references as repository
from orchestra.features.blobs.types import Sha256
from orchestra.foundation.database import Transaction

KEY = "$blob"
# Of one value; each is a row.
MOST = 1_000
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A task whose input or result refers to a blob."""

    task_id: uuid.UUID
    sha256: Sha256
    user_id: uuid.UUID
    parent_id: uuid.UUID | None = None


def mentions(json: bytes) -> bool:
    """Whether it is worth looking: nearly no JSON refers to anything."""
    return b'"$blob"' in json


def named_in(json: bytes) -> list[Sha256]:
    """The blobs that a value refers to, each once; raises BadReference."""
    if not mentions(json):
        return []
    found = {_checked(name) for name in _names(msgspec.json.decode(json))}
    if len(found) > MOST:
        raise BadReference(f"One value may refer to {MOST} blobs.")
    return sorted(found)


async def unusable(tx: Transaction, user_id: uuid.UUID, names: Sequence[Sha256]) -> list[Sha256]:
    """Those that do not exist, or that the person has neither uploaded nor in a task."""
    usable = await repository.usable(tx, user_id, names)
    return [name for name in names if name not in usable]


async def refer(tx: Transaction, references: Iterable[Reference]) -> None:
    """Keeps the blobs as long as the tasks; they have to be there."""
    rows = [(item.task_id, item.sha256, item.parent_id, item.user_id) for item in references]
    if rows:
        await repository.add_references(tx, rows)


async def refer_as(tx: Transaction, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """The second task of each pair has values of the first: it keeps the same blobs."""
    if pairs:
        await repository.add_as_of(tx, pairs)


def _names(value: Any) -> Iterable[Any]:
    """Without recursion: what is nested deeply is refused elsewhere, in words."""
    left: list[Any] = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            fields = cast("dict[str, Any]", item)
            if KEY in fields:
                yield fields[KEY]
            left.extend(fields.values())
        elif isinstance(item, list):
            left.extend(cast("list[Any]", item))


def _checked(name: Any) -> Sha256:
    if not isinstance(name, str) or not _SHA256.fullmatch(name):
        raise BadReference
    return Sha256(name)

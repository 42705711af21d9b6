"""Pages of lists: how long one may be, and cursors that lead from one to the next."""

import base64
import binascii
import uuid
from datetime import datetime
from typing import Any

import msgspec

from orchestra.foundation import timestamps
from orchestra.foundation.errors import FieldError, InvalidInput

MAX_PAGE = 200


def page_limit(limit: int | None, *, default: int = 50) -> int:
    """Checks `?limit=`; raises InvalidInput outside 1 to 200."""
    if limit is None:
        return default
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidInput(
            f"limit must be between 1 and {MAX_PAGE}.", fields=[FieldError("limit", "out of range")]
        )
    return limit


def encode_cursor(*key: str | int | None) -> str:
    """An opaque keyset cursor from the last row's sort key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def decode_cursor(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """The sort key inside a cursor, each part of its kind: str, int, UUID or datetime.

    Raises InvalidInput for anything that the database would not take.
    """
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        key = msgspec.json.decode(raw, type=list[str | int])
        return tuple(_cursor_part(part, kind) for part, kind in zip(key, kinds, strict=True))
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise InvalidInput(
            "The cursor is not one of ours.", fields=[FieldError("cursor", "not valid")]
        ) from error


def _cursor_part(part: str | int, kind: type) -> Any:
    if isinstance(part, int):
        if kind is int and abs(part) < 2**63:
            return part
    elif kind is str and "\0" not in part:
        return part
    elif kind is uuid.UUID:
        return uuid.UUID(part)
    elif kind is datetime and (at := datetime.fromisoformat(part)).tzinfo is not None:
        return timestamps.as_utc(at)
    raise ValueError(part)

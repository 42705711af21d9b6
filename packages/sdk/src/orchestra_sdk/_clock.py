"""The only place of the SDK that asks for the time, a random number or an id."""

import random
import time
import uuid
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

_random = random.SystemRandom()


def monotonic() -> float:
    """Return seconds of a clock that never goes back."""
    return time.monotonic()


def nanoseconds() -> int:
    """Return the wall clock in nanoseconds since 1970."""
    return time.time_ns()


def timestamp() -> Timestamp:
    """Return the wall clock as the protocol carries it."""
    now = Timestamp()
    now.FromNanoseconds(nanoseconds())
    return now


def utc(moment: Timestamp) -> datetime:
    """Return a protocol time as an aware `datetime`."""
    return moment.ToDatetime(tzinfo=UTC)


def jitter(limit: float) -> float:
    """Return a number of seconds between 0 and `limit`, all equally likely."""
    return _random.uniform(0, limit)


def new_id() -> str:
    """Return a random UUID."""
    return str(uuid.UUID(bytes=_random.randbytes(16), version=4))

"""Moments as protobuf writes them.

`Timestamp.FromDatetime` costs as much as a whole message around it, thousands of times a second.
"""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from orchestra.foundation import clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_wire(moment: datetime) -> Timestamp:
    """The moment, which has a time zone, to the microsecond."""
    since = moment - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


def as_utc(moment: datetime) -> datetime:
    """The moment, which has a time zone, in UTC; raises ValueError for one outside of the years."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("too far away") from error


def now() -> Timestamp:
    return to_wire(clock.now())

"""Moments on the wire are those that protobuf itself would write."""

from datetime import UTC, datetime, timedelta, tzinfo

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from orchestra.foundation import clock, timestamps

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(
    st.timedeltas(min_value=timedelta(days=-700_000), max_value=timedelta(days=2_900_000)),
    st.timezones(),
)
def test_a_moment_is_written_as_protobuf_writes_it(since: timedelta, zone: tzinfo) -> None:
    moment = (EPOCH + since).astimezone(zone)
    expected = Timestamp()
    expected.FromDatetime(moment)
    assert timestamps.to_wire(moment) == expected


def test_now_is_what_the_clock_says() -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
    former = clock.use(lambda: moment)
    try:
        assert timestamps.now().ToDatetime(UTC) == moment
    finally:
        clock.use(former)

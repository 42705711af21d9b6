"""When a schedule is due, above all on the two days when the clocks are changed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from orchestra.features.schedules.errors import BadTiming
from orchestra.features.schedules.service import timetable
from orchestra.features.schedules.types import Timing

BERLIN = ZoneInfo("Europe/Berlin")
SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)  # 2026-03-29 has no 02:00 to 03:00 in Berlin
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)  # 2026-10-25 has it twice


def berlin(cron: str) -> Timing:
    return Timing(cron=cron, timezone="Europe/Berlin", at=None)


def shown(times: list[datetime]) -> list[str]:
    return [time.astimezone(BERLIN).strftime("%d %H:%M %z") for time in times]


def test_an_hour_that_is_skipped_fires_once_right_after_it() -> None:
    times = timetable.upcoming(berlin("30 2 * * *"), SPRING, count=2)
    assert shown(times) == ["29 03:00 +0200", "30 02:30 +0200"]


def test_two_times_of_an_hour_that_is_skipped_fire_once() -> None:
    times = timetable.upcoming(berlin("0,30 2 * * *"), SPRING, count=2)
    assert shown(times) == ["29 03:00 +0200", "30 02:00 +0200"]


def test_an_hour_that_comes_twice_fires_once() -> None:
    times = timetable.upcoming(berlin("30 2 * * *"), AUTUMN, count=2)
    assert shown(times) == ["25 02:30 +0200", "26 02:30 +0100"]


def test_from_within_the_second_coming_of_an_hour_the_next_is_tomorrow() -> None:
    within = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 for the second time
    assert shown(timetable.upcoming(berlin("30 2 * * *"), within, count=1)) == ["26 02:30 +0100"]


def test_every_hour_is_every_hour_of_real_time() -> None:
    for day in (SPRING, AUTUMN):
        times = timetable.upcoming(berlin("30 * * * *"), day, count=30)
        gaps = {after - before for before, after in pairwise(times)}
        assert gaps == {timedelta(hours=1)}


@pytest.mark.parametrize(
    "cron",
    ["30 2 * * *", "0,30 2 * * *", "*/20 2 * * *", "30 * * * *", "15 1-4 * * *", "0 */2 * * 0"],
)
@pytest.mark.parametrize("start", [SPRING, AUTUMN])
def test_what_was_missed_is_what_would_have_come(cron: str, start: datetime) -> None:
    end = start + timedelta(days=9)
    ahead = [time for time in timetable.upcoming(berlin(cron), start, count=400) if time <= end]
    assert timetable.due(berlin(cron), ahead[0], end, limit=1000) == ahead
    assert timetable.due(berlin(cron), ahead[0], end, limit=2) == ahead[-2:]


def test_years_of_missed_minutes_cost_no_more_than_the_limit() -> None:
    every_minute = Timing(cron="* * * * *", timezone="UTC", at=None)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    times = timetable.due(every_minute, now - timedelta(days=3_650), now, limit=100)
    assert (len(times), times[-1]) == (100, now)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("61 * * * *", "the minute '61' is not valid"),
        ("* 25 * * *", "the hour '25' is not valid"),
        ("* * 0 * *", "the day of the month '0' is not valid"),
        ("* * * 13 *", "the month '13' is not valid"),
        ("* * * * 9", "the day of the week '9' is not valid"),
        ("*/0 * * * *", "the minute '*/0' is not valid"),
        ("* * *", "has 3 fields, but should have five"),
        ("* * * * * *", "has 6 fields, but should have five"),
        ("0 0 31 2 *", "this day does not exist"),
        ("", "has 0 fields"),
    ],
)
def test_a_cron_expression_that_is_wrong_is_refused_in_words(cron: str, words: str) -> None:
    with pytest.raises(BadTiming, match="cron") as caught:
        timetable.check(berlin(cron))
    assert words in caught.value.message
    assert [item.field for item in caught.value.fields] == ["cron"]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "/etc/passwd", "a\0b"])
def test_a_time_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(BadTiming) as caught:
        timetable.check(Timing(cron="* * * * *", timezone=zone, at=None))
    assert [item.field for item in caught.value.fields] == ["timezone"]


def test_a_time_without_an_offset_is_refused() -> None:
    noon = datetime(2026, 1, 1, 12)  # noqa: DTZ001 - what somebody may send
    with pytest.raises(BadTiming):
        timetable.check(Timing(cron=None, timezone="UTC", at=noon))
    with pytest.raises(BadTiming):
        timetable.check(Timing(cron="* * * * *", timezone="UTC", at=SPRING))

"""Numbers and times as sentences say them."""

from datetime import UTC, datetime


def at_words(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def seconds_words(seconds: float) -> str:
    """About how long: `3 s`, `4 min`, `2 h`, `5 d`."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    if seconds < 100 * 60:
        return f"{round(seconds / 60)} min"
    if seconds < 48 * 3600:
        return f"{round(seconds / 3600)} h"
    return f"{round(seconds / 86400)} d"


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `3rd`, `11th` …"""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def count_words(number: int, one: str, many: str = "") -> str:
    """`1 agent`, `4 agents`."""
    return f"{number} {one if number == 1 else many or one + 's'}"

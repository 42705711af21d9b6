"""When a schedule is due. Pure: every time is given.

cronsim does what Debian's cron does twice a year: a job at an hour that the clocks skip runs once,
right after it, and one at an hour that comes twice runs at its first coming. Jobs of every hour or
every few minutes follow the real time.
"""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from orchestra.features.schedules.errors import BadTiming
from orchestra.features.schedules.types import Timing
from orchestra.foundation import timestamps
from orchestra.foundation.errors import FieldError

MAX_CRON_LENGTH = 200
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
# A field of a cron expression, and what may stand there.
_FIELDS = (
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, or L for the last"),
    ("month", "1 to 12, or JAN to DEC"),
    ("day of the week", "0 to 7 from Sunday to Sunday, or SUN to SAT"),
)
_FORMS = "* for all, a list 1,2,3, a range 1-5, a step */10"


def check(timing: Timing) -> None:
    """Raises BadTiming, in words, for what can never be due."""
    if (timing.cron is None) == (timing.at is None):
        raise _bad("cron", "give either a cron expression or one time as `at`")
    if not _is_zone(timing.timezone):
        raise _bad("timezone", "not a time zone; name one such as Europe/Berlin or UTC")
    if timing.at is not None:
        _check_at(timing.at)
    if timing.cron is not None:
        _check_cron(timing.cron)


def next_after(timing: Timing, moment: datetime) -> datetime | None:
    """The first time after that moment, in UTC; None when there is none."""
    if timing.cron is None:
        return timing.at if timing.at is not None and timing.at > moment else None
    return next(_times(timing, moment), None)


def upcoming(timing: Timing, moment: datetime, *, count: int) -> list[datetime]:
    """The next times, for people to see whether they meant that."""
    if timing.cron is None:
        first = next_after(timing, moment)
        return [first] if first else []
    times = _times(timing, moment)
    return [time for _, time in zip(range(count), times, strict=False)]


def due(timing: Timing, first: datetime, now: datetime, *, limit: int) -> list[datetime]:
    """The times from `first`, which is one of them, to `now`: the last `limit`, oldest first."""
    if timing.cron is None or first > now:
        return [first] if first <= now else []
    found: list[datetime] = []
    local = (now + timedelta(seconds=1)).astimezone(zoneinfo.ZoneInfo(timing.timezone))
    for time in CronSim(timing.cron, local, reverse=True):
        moment = time.astimezone(UTC)
        if moment < first or len(found) == limit:
            break
        if moment <= now and (not found or moment < found[-1]):
            found.append(moment)
    return found[::-1] or [first]


def _times(timing: Timing, moment: datetime) -> Iterator[datetime]:
    last, zone = moment, zoneinfo.ZoneInfo(timing.timezone)
    for time in CronSim(timing.cron or "", moment.astimezone(zone)):
        # Two local times of an hour that is skipped are one moment, and the second coming of an
        # hour is written like its first.
        if (found := time.astimezone(UTC)) > last:
            last = found
            yield found


def _check_at(at: datetime) -> None:
    if at.tzinfo is None:
        raise _bad("at", "give a time with its offset, such as 2026-12-24T18:00:00+01:00")
    try:
        timestamps.as_utc(at)
    except ValueError as error:
        raise _bad("at", str(error)) from error


def _check_cron(cron: str) -> None:
    if len(cron) > MAX_CRON_LENGTH:
        raise _bad("cron", f"longer than {MAX_CRON_LENGTH} characters")
    parts = cron.split()
    if len(parts) != len(_FIELDS):
        wanted = ", ".join(name for name, _ in _FIELDS)
        raise _bad("cron", f"has {len(parts)} fields, but should have five: {wanted}")
    for place, (part, (name, values)) in enumerate(zip(parts, _FIELDS, strict=True)):
        alone = ["*"] * len(_FIELDS)
        alone[place] = part
        if not _parses(" ".join(alone)):
            raise _bad("cron", f"the {name} {part!r} is not valid: {values}; {_FORMS}")
    if not _parses(cron) or next(CronSim(cron, EPOCH), None) is None:
        raise _bad("cron", "this day does not exist in any of these months")


def _parses(cron: str) -> bool:
    try:
        CronSim(cron, EPOCH)
    except (CronSimError, ValueError, AssertionError):
        return False
    return True


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _bad(field: str, message: str) -> BadTiming:
    return BadTiming(f"{field}: {message}", fields=[FieldError(field, message)])

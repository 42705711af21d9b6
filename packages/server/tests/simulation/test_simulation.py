"""A few hundred courses in simulated time keep every promise, and a planted bug would be found."""

import pytest

from .__main__ import first_violation, live
from .system import BUGS

SEEDS = 150  # `make chaos` lives through 10,000


def test_no_course_breaks_a_promise() -> None:
    courses = [live(seed) for seed in range(SEEDS)]
    assert [course for course in courses if course.violations] == []
    assert sum(course.refused for course in courses) > 0, "no stale write was ever tried"


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    assert first_violation(bug, range(2_000)) is not None


def test_one_seed_is_one_course() -> None:
    assert live(7) == live(7)

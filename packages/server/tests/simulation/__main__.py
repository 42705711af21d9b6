"""`python -m simulation`: many seeds, several at once; ends with 1 if a promise was broken."""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor

from .system import BUGS, Course, System

CHUNK = 100
SHOWN = 10
PLANTED_SEEDS = 2_000


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.planted:
        return _find_planted()
    began = time.monotonic()
    seeds = range(options.first, options.first + options.seeds)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        courses = list(pool.map(live, seeds, chunksize=CHUNK))
    broken = [course for course in courses if course.violations]
    for course in broken[:SHOWN]:
        _say(f"seed {course.seed}: {'; '.join(course.violations)}")
    steps, refused = sum(each.steps for each in courses), sum(each.refused for each in courses)
    _say(
        f"simulation: {len(courses):,} seeds, {len(broken)} with violations; {steps:,} steps, "
        f"{refused:,} stale writes refused, in {time.monotonic() - began:.0f} s"
    )
    return 1 if broken else 0


def live(seed: int, bug: str = "") -> Course:
    return System(seed, frozenset({bug} if bug else ())).live()


def _find_planted() -> int:
    """Each planted bug has to be found; a simulation that finds none of them proves nothing."""
    missed: list[str] = []
    for bug in BUGS:
        found = first_violation(bug, range(PLANTED_SEEDS))
        if found is None:
            missed.append(bug)
        else:
            _say(f"{bug}: found at seed {found.seed}: {found.violations[0]}")
    if missed:
        _say(f"simulation: FAILED to find {', '.join(missed)}")
    return 1 if missed else 0


def first_violation(bug: str, seeds: Iterable[int]) -> Course | None:
    courses = (live(seed, bug) for seed in seeds)
    return next((course for course in courses if course.violations), None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--planted", action="store_true", help="find the planted bugs instead")
    return parser


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

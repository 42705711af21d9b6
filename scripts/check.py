"""`make check`: everything that is checked without running the product, two checks at a time.

Prints one line for each check, then the output of those that failed, then one closing line that
says in words what failed. `scripts/check.py NAME…` runs only those.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
TIMEOUT_SECONDS = 600
# The machine this is meant for has two cores; more at once only makes each slower.
AT_ONCE = 2
SHOWN_LINES = 80


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what it is called, the command, and what to do when it fails."""

    name: str
    command: tuple[str, ...]
    remedy: str
    directory: Path = ROOT


@dataclass(frozen=True, slots=True)
class Outcome:
    check: Check
    failed: bool
    seconds: float
    output: str


PYTHON = str(BIN / "python")
# The slowest first, so that two cores finish together.
CHECKS = (
    Check("types", (str(BIN / "pyright"),), "mend the types"),
    Check("web", ("bash", "scripts/check_web.sh"), "see web/README.md"),
    Check("sdk-wheel", ("bash", "scripts/check_sdk_wheel.sh"), "the SDK needs only the protocol"),
    Check("imports", (str(BIN / "lint-imports"),), "move the import, or the module"),
    Check("lint", (str(BIN / "ruff"), "check"), "ruff check --fix mends most"),
    Check("format", (str(BIN / "ruff"), "format", "--check"), "run ruff format"),
    Check("rules", (PYTHON, "scripts/check_rules.py"), "the message says where it belongs"),
    Check("generated", ("bash", "scripts/generate.sh", "--check"), "run make generate"),
)


def main(names: list[str]) -> int:
    chosen = [check for check in CHECKS if not names or check.name in names]
    if unknown := set(names) - {check.name for check in CHECKS}:
        print(f"there is no check {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    started = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(_run, chosen))
    failures = [outcome for outcome in outcomes if outcome.failed]
    for outcome in failures:
        print(f"\n──── {outcome.check.name} ────\n{_end_of(outcome.output)}")
    print(_closing_line(failures, len(chosen), time.monotonic() - started))
    return 1 if failures else 0


def _run(check: Check) -> Outcome:
    started = time.monotonic()
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    environment["PYTHONPATH"] = str(ROOT / "scripts")
    try:
        done = subprocess.run(
            check.command,
            cwd=check.directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        failed, output = done.returncode != 0, done.stdout
    except subprocess.TimeoutExpired:
        failed, output = True, f"did not end within {TIMEOUT_SECONDS} s"
    seconds = time.monotonic() - started
    print(f"{'FAIL' if failed else 'ok':4} {check.name:10} {seconds:5.1f} s", flush=True)
    return Outcome(check, failed, seconds, output)


def _end_of(output: str) -> str:
    lines = output.strip().splitlines()
    left_out = len(lines) - SHOWN_LINES
    return "\n".join(
        [f"… {left_out} lines before", *lines[-SHOWN_LINES:]] if left_out > 0 else lines
    )


def _closing_line(failures: list[Outcome], total: int, seconds: float) -> str:
    if not failures:
        return f"check: all {total} passed in {seconds:.0f} s"
    named = "; ".join(f"{item.check.name} ({item.check.remedy})" for item in failures)
    return f"\ncheck: FAILED: {named}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""An armed point kills the first process that comes by, and no other; unarmed it is nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = "from orchestra.foundation.crash_points import reached; reached('here'); print('alive')"


def _run(armed: Path | None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    environment.pop("ORCHESTRA_CRASH_POINTS", None)
    if armed is not None:
        environment["ORCHESTRA_CRASH_POINTS"] = str(armed)
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )


def test_the_first_to_come_dies_and_the_next_lives(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    (tmp_path / "elsewhere").touch()
    assert _run(tmp_path).returncode == -signal.SIGKILL
    assert _run(tmp_path).stdout == "alive\n"
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


def test_nothing_happens_without_a_test() -> None:
    assert _run(None).stdout == "alive\n"

"""kill -9 of the agent after everything that it has done, again and again."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from orchestra_sdk.testing import ControlPlane, SubmittedTask, until

pytestmark = pytest.mark.anyio

AGENT = Path(__file__).with_name("ledger_agent.py")
BOUND = 10.0
Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(plane: ControlPlane, tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, str(AGENT), str(tmp_path / "ledger")],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
            | {"ORCHESTRA_URL": plane.url, "ORCHESTRA_AGENT_KEY": plane.key},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(BOUND)


def done(plane: ControlPlane) -> int:
    """How much is kept: steps, children and questions of all tasks."""
    return sum(len(t.steps) + len(t.children) + len(t.questions) for t in plane.tasks.values())


async def more(plane: ControlPlane, task: SubmittedTask, seen: int) -> int:
    """Wait for progress; return what is kept now."""
    await until(lambda: task.finished or done(plane) > seen)
    return done(plane)


@pytest.mark.timeout(60)
async def test_an_agent_killed_after_every_step_does_each_effect_once(
    plane: ControlPlane, start: Start, tmp_path: Path
) -> None:
    process = start()
    task = await plane.submit("order", max_attempts=100)
    kills, seen = 0, 0
    while not task.finished:
        for question in task.questions.values():
            question.answer(by="ada")
        seen = await more(plane, task, seen)
        process.kill()
        process.wait(BOUND)
        process = start()
        kills += 1
    result = await task.result()
    assert result[-1] == "ada"
    ledger = (tmp_path / "ledger").read_text().splitlines()
    assert sorted(ledger) == sorted(result[:-1])
    assert len(ledger) == 5
    assert kills >= 5
    assert len(plane.tasks) == 4

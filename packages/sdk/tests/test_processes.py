"""Agents as processes: killed, started again, asked to leave."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from orchestra_sdk import Agent, Context, StateInUse
from orchestra_sdk.testing import ControlPlane, serving, until

pytestmark = pytest.mark.anyio

AGENT = Path(__file__).with_name("restorable_agent.py")
BOUND = 10.0
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(plane: ControlPlane, tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(**env: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, str(AGENT), str(tmp_path)],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
            | {"ORCHESTRA_URL": plane.url, "ORCHESTRA_AGENT_KEY": plane.key}
            | env,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=BOUND)


async def test_a_result_survives_kill_9_before_its_acknowledgement(
    plane: ControlPlane, start: Start, tmp_path: Path
) -> None:
    first = start()
    await plane.agent("restorable")
    task = await plane.submit("wait", str(tmp_path / "onward"))
    await task.wait_for(lambda task: bool(task.events))
    await plane.stop()  # the handler ends while nobody listens
    (tmp_path / "onward").touch()
    saved = tmp_path / "restorable"
    await until(lambda: bool(list(saved.glob("*.run"))))
    first.kill()
    first.wait(BOUND)
    await plane.start()
    assert not task.finished
    start()
    assert await task.result() == "waited"
    assert (task.attempt, task.text, task.gaps) == (1, "waiting", [])
    connected = await plane.agent("restorable")
    assert [item.task_id for item in connected.hellos[-1].running] == [task.id]
    await until(lambda: not list(saved.glob("*.run")))


async def test_an_agent_killed_in_mid_task_is_replaced_by_the_next_attempt(
    plane: ControlPlane, start: Start, tmp_path: Path
) -> None:
    plane.lease_seconds = 0.2
    first = start()
    await plane.agent("restorable")
    task = await plane.submit("wait", str(tmp_path / "onward"))
    await task.wait_for(lambda task: bool(task.events))
    first.kill()
    await task.wait_for(lambda task: task.state == "queued")
    (tmp_path / "onward").touch()
    start()
    assert await task.result() == "waited"
    assert task.attempt == 2


async def test_sigterm_lets_the_running_task_finish(
    plane: ControlPlane, start: Start, tmp_path: Path
) -> None:
    process = start()
    connected = await plane.agent("restorable")
    task = await plane.submit("wait", str(tmp_path / "onward"))
    await task.wait_for(lambda task: bool(task.events))
    process.send_signal(signal.SIGTERM)
    await until(lambda: connected.draining)
    (tmp_path / "onward").touch()
    assert await task.result() == "waited"
    assert await asyncio.to_thread(process.wait, BOUND) == 0


async def test_a_wrong_key_ends_the_process_with_a_sentence(
    plane: ControlPlane, start: Start
) -> None:
    process = start(ORCHESTRA_AGENT_KEY="wrong")
    _, said = await asyncio.to_thread(process.communicate, timeout=BOUND)
    assert process.returncode == 1
    assert "does not accept this agent's key" in said
    assert "Traceback" not in said


async def test_two_processes_do_not_share_a_state_directory(
    plane: ControlPlane, tmp_path: Path
) -> None:
    def make() -> Agent:
        agent = Agent("shared", state_dir=tmp_path)

        @agent.task("work")
        async def work(ctx: Context) -> None: ...

        return agent

    async with serving(make(), plane):
        with pytest.raises(StateInUse, match="in use by another process"):
            await make().serve(url=plane.url, key=plane.key)
    async with serving(make(), plane):
        assert await (await plane.submit("work")).result() is None
